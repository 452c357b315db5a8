// The explorer: a grid of training images with filters, the neighbours of the chosen one, a map.
"use strict";

const source = document.getElementById("explorer-data");
if (source) start(JSON.parse(source.textContent));

function start(data) {
  const byId = (id) => document.getElementById(id);
  const tiles = byId("tiles"), detail = byId("detail"), map = byId("map");
  const rows = Math.ceil(data.tiles.length / data.columns);
  const points = map ? [...map.querySelectorAll(".pool")] : [];
  let chosen = -1;

  const buttons = data.pool.map((image, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(thumb(i));
    button.setAttribute("aria-label", `${describe(i)}, entropy ${image.entropy.toFixed(2)}`);
    button.addEventListener("click", () => choose(i));
    return button;
  });
  tiles.append(...buttons);
  tiles.addEventListener("keydown", walk);
  for (const kind of ["input", "change"]) byId("filters").addEventListener(kind, filter);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  if (map) {
    map.addEventListener("pointermove", (event) => choose(nearestPoint(event)));
    map.addEventListener("click", (event) => choose(nearestPoint(event)));
  }
  document.querySelectorAll("[data-needs-script]").forEach((part) => { part.hidden = false; });
  filter();
  choose(0);

  // Part of the sheet: the tile's column and row as fractions of what lies outside the window.
  function thumb(tile) {
    const picture = document.createElement("span");
    const percent = (place, count) => (count > 1 ? (100 * place) / (count - 1) : 0);
    const x = percent(tile % data.columns, data.columns);
    const y = percent(Math.floor(tile / data.columns), rows);
    picture.className = "thumb sheet";
    picture.style.backgroundSize = `${100 * data.columns}% ${100 * rows}%`;
    picture.style.backgroundPosition = `${x}% ${y}%`;
    return picture;
  }

  function className(tile) {
    const label = data.tiles[tile][1];
    return label < 0 ? "" : data.classes[label];
  }

  function describe(tile) {
    return [className(tile), data.tiles[tile][0]].filter(Boolean).join(", ");
  }

  function isWrong(tile, other) {
    const [own, its] = [data.tiles[tile][1], data.tiles[other][1]];
    return own >= 0 && its >= 0 && own !== its;
  }

  function choose(i) {
    if (i < 0 || i === chosen) return;
    chosen = i;
    buttons.forEach((button, j) => {
      button.setAttribute("aria-pressed", String(i === j));
      button.tabIndex = i === j ? 0 : -1;
    });
    buttons[i].setAttribute("aria-describedby", "detail-text");
    show(i);
    const near = new Set(data.pool[i].near.map(([tile]) => tile));
    points.forEach((point, j) => {
      point.classList.toggle("chosen", i === j);
      point.classList.toggle("close", near.has(j));
    });
  }

  function show(i) {
    const image = data.pool[i];
    byId("detail-picture").replaceChildren(thumb(i));
    byId("detail-name").textContent = data.tiles[i][0];
    const sentences = [];
    if (className(i)) sentences.push(`Class ${className(i)}.`);
    sentences.push(`Entropy ${image.entropy.toFixed(2)} nats, higher than that of ${Math.round(100 * image.rank)} % of the images.`);
    if (image.since !== null) sentences.push(`Anchor since round ${image.since}.`);
    else if (data.has_anchors) sentences.push("Not an anchor in the last round.");
    byId("detail-text").textContent = sentences.join(" ");
    byId("detail-near").replaceChildren(...image.near.map(([tile, cosine]) => neighbour(i, tile, cosine)));
  }

  function neighbour(i, tile, cosine) {
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = className(tile);
    item.classList.toggle("is-wrong", isWrong(i, tile));
    let picture = thumb(tile);
    if (tile < data.pool.length) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", `Choose ${describe(tile)}`);
      button.append(picture);
      button.addEventListener("click", () => {
        choose(tile);
        const first = byId("detail-near").querySelector("button");
        if (first) first.focus();
      });
      picture = button;
    } else {
      picture.setAttribute("role", "img");
      picture.setAttribute("aria-label", describe(tile));
    }
    item.title = data.tiles[tile][0];
    item.append(picture, name, cosine.toFixed(2));
    return item;
  }

  function filter() {
    const wanted = byId("class-filter") ? Number(byId("class-filter").value) : -1;
    const lowest = Number(byId("lowest").value) / 100;
    const highest = Number(byId("highest").value) / 100;
    const wrongOnly = byId("wrong-only") && byId("wrong-only").checked;
    const inRange = data.pool.filter((image) => lowest <= image.rank && image.rank <= highest);
    let shown = 0;
    data.pool.forEach((image, i) => {
      const fits = inRange.includes(image)
        && (wanted < 0 || data.tiles[i][1] === wanted)
        && (!wrongOnly || (image.near.length > 0 && isWrong(i, image.near[0][0])));
      buttons[i].hidden = !fits;
      if (points[i]) points[i].classList.toggle("dim", !fits);
      shown += fits;
    });
    const nats = inRange.map((image) => image.entropy);
    byId("range-text").textContent = nats.length
      ? `${Math.min(...nats).toFixed(2)} to ${Math.max(...nats).toFixed(2)} nats` : "no image";
    byId("shown").textContent = `${shown} of ${data.pool.length} images`;
    const first = buttons.findIndex((button) => !button.hidden);
    if (chosen >= 0 && buttons[chosen].hidden && first >= 0) choose(first);
  }

  // Arrow keys walk through the images that are shown; Tab leaves the grid.
  function walk(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const visible = buttons.filter((button) => !button.hidden);
    const next = visible[visible.indexOf(document.activeElement) + step];
    if (next) {
      choose(buttons.indexOf(next));
      next.focus();
    }
  }

  // The image of the grid whose point is nearest to the pointer, unless all are far from it.
  function nearestPoint(event) {
    const box = map.getBoundingClientRect();
    const x = (100 * (event.clientX - box.left)) / box.width;
    const y = (100 * (event.clientY - box.top)) / box.height;
    let best = -1, least = 9;
    points.forEach((point, i) => {
      const distance = (point.cx.baseVal.value - x) ** 2 + (point.cy.baseVal.value - y) ** 2;
      if (!buttons[i].hidden && distance < least) [best, least] = [i, distance];
    });
    return best;
  }
}
