// The explorer: a grid of images with filters, the neighbours of the chosen one, a map.
// Links to #photo-7 choose an image from anywhere on the page, links to #show-KEY-VALUE a filter.
"use strict";

// Pictures far down the page are loaded before it is printed.
window.addEventListener("beforeprint", () => {
  document.querySelectorAll("img[loading=lazy]").forEach((image) => { image.loading = "eager"; });
});

const source = document.getElementById("explorer-data");
if (source) start(JSON.parse(source.textContent));

function start(data) {
  const byId = (id) => document.getElementById(id);
  const tiles = byId("tiles"), detail = byId("detail"), map = byId("map");
  const count = data.near.length;
  const points = map ? [...map.querySelectorAll(".pool")] : [];
  const plain = (text) => text.normalize("NFC").toLowerCase();
  const names = data.names.map(plain);
  const marked = Object.fromEntries(data.marks.map((mark) => [mark.key, new Set(mark.images)]));
  const selects = Object.fromEntries(data.facets.map((facet) => [facet.key, byId(`${facet.key}-filter`)]));
  let visible = [], page = 0, chosen = -1, waiting = 0;

  tiles.addEventListener("keydown", walk);
  tiles.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) choose(Number(button.dataset.image));
  });
  for (const kind of ["input", "change"]) byId("filters").addEventListener(kind, filter);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("previous").addEventListener("click", () => turnTo(page - 1));
  byId("next").addEventListener("click", () => turnTo(page + 1));
  if (map) {
    map.addEventListener("click", (event) => choose(nearestPoint(event)));
    map.addEventListener("pointermove", preview);
    map.addEventListener("pointerleave", () => { byId("map-preview").hidden = true; });
  }
  window.addEventListener("hashchange", follow);
  document.querySelectorAll("[data-needs-script]").forEach((part) => { part.hidden = false; });
  filter();
  choose(visible[0]);
  follow();

  // The picture of an image: part of the sheet in the style, or a file or address of its own.
  function thumb(i, isNamed) {
    const { columns, addresses, folder, digits } = data.thumbnails;
    const picture = document.createElement(columns ? "span" : "img");
    picture.className = "thumb";
    if (columns) {
      const rows = Math.ceil(data.names.length / columns);
      const percent = (place, places) => (places > 1 ? (100 * place) / (places - 1) : 0);
      picture.classList.add("sheet");
      picture.style.backgroundSize = `${100 * columns}% ${100 * rows}%`;
      picture.style.backgroundPosition = `${percent(i % columns, columns)}% ${percent(Math.floor(i / columns), rows)}%`;
      if (isNamed) picture.setAttribute("role", "img");
      if (isNamed) picture.setAttribute("aria-label", describe(i));
    } else {
      picture.loading = "lazy";
      picture.decoding = "async";
      picture.alt = isNamed ? describe(i) : "";
      picture.src = addresses ? addresses[i] : `${folder}/${String(i).padStart(digits, "0")}.jpg`;
    }
    return picture;
  }

  function original(i) {
    const { base, others } = data.originals;
    return others[i] === undefined ? base + data.names[i] : others[i];
  }

  function className(i) {
    return data.labels && data.labels[i] >= 0 ? data.classes[data.labels[i]] || "" : "";
  }

  function describe(i) {
    return [className(i), data.names[i]].filter(Boolean).join(", ");
  }

  function isWrong(i, other) {
    if (!data.labels) return false;
    const [own, its] = [data.labels[i], data.labels[other]];
    return own >= 0 && its >= 0 && own !== its;
  }

  function choose(i) {
    if (!(i >= 0 && i < count) || i === chosen) return;
    chosen = i;
    markTile();
    show(i);
    const near = new Set(data.near[i]);
    points.forEach((point, j) => {
      point.classList.toggle("chosen", data.map[j] === i);
      point.classList.toggle("close", near.has(data.map[j]));
    });
  }

  function markTile() {
    const buttons = [...tiles.children];
    const at = buttons.find((button) => Number(button.dataset.image) === chosen) || buttons[0];
    buttons.forEach((button) => {
      const isChosen = Number(button.dataset.image) === chosen;
      button.setAttribute("aria-pressed", String(isChosen));
      if (isChosen) button.setAttribute("aria-describedby", "detail-text");
      else button.removeAttribute("aria-describedby");
      button.tabIndex = button === at ? 0 : -1;
    });
  }

  function show(i) {
    byId("detail-picture").replaceChildren(thumb(i, true));
    byId("detail-name").textContent = data.names[i];
    byId("detail-text").textContent = sentences(i);
    byId("detail-near").replaceChildren(...data.near[i].map((other, place) => neighbour(i, other, place)));
    if (!data.originals) return;
    byId("detail-original").href = original(i);
    clearTimeout(waiting);
    if (data.shows_originals) waiting = setTimeout(() => showOriginal(i), 250);
  }

  // The file itself in place of its thumbnail, where a browser can show it.
  function showOriginal(i) {
    const picture = new Image();
    picture.className = "thumb whole";
    picture.alt = describe(i);
    picture.onload = () => { if (i === chosen) byId("detail-picture").replaceChildren(picture); };
    picture.src = original(i);
  }

  function sentences(i) {
    if (data.texts) return data.texts[i];
    const facts = data.facets.filter((facet) => facet.values[i] >= 0)
      .map((facet) => `${facet.title}: ${facet.names[facet.values[i]]}.`);
    const numbers = data.orders.map((order) => `${order.title} ${Number(order.values[i].toPrecision(3))}`).join(", ");
    const found = data.marks.filter((mark) => marked[mark.key].has(i)).map((mark) => mark.title);
    if (found.length) facts.push(`Found: ${found.join(", ")}.`);
    if (numbers) facts.push(`${numbers[0].toUpperCase()}${numbers.slice(1)}.`);
    return facts.join(" ");
  }

  function neighbour(i, other, place) {
    const item = document.createElement("li");
    const name = document.createElement("span"), rank = document.createElement("span");
    name.className = "name";
    name.textContent = className(other);
    rank.className = "rank";
    rank.textContent = `${place + 1} · ${(data.cosines[i][place] / 1000).toFixed(2)}`;
    item.classList.toggle("is-wrong", isWrong(i, other));
    let picture = thumb(other, other >= count);
    if (other < count) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", `Choose ${describe(other)}`);
      button.append(picture);
      button.addEventListener("click", () => {
        choose(other);
        const first = byId("detail-near").querySelector("button");
        if (first) first.focus();
      });
      picture = button;
    }
    item.title = data.names[other];
    item.append(picture, name, rank);
    return item;
  }

  function fits(i, wanted) {
    const near = data.near[i];
    return names[i].includes(wanted.name)
      && wanted.facets.every(([facet, value]) => value < 0 || facet.values[i] === value)
      && (!wanted.mark || wanted.mark.has(i))
      && isInRange(i, wanted)
      && (!wanted.isWrong || (near.length > 0 && isWrong(i, near[0])));
  }

  function isInRange(i, wanted) {
    return !data.ranges || (wanted.lowest <= data.ranges[1][i] && data.ranges[1][i] <= wanted.highest);
  }

  function filter() {
    const wanted = {
      name: plain(byId("name-filter").value.trim()),
      facets: data.facets.map((facet) => [facet, Number(selects[facet.key].value)]),
      mark: byId("finding-filter") && marked[byId("finding-filter").value],
      isWrong: byId("wrong-only") && byId("wrong-only").checked,
    };
    if (data.ranges) {
      wanted.lowest = Number(byId("lowest").value) / 100;
      wanted.highest = Number(byId("highest").value) / 100;
      describeRange(wanted);
    }
    const all = Array.from({ length: count }, (_, i) => i);
    visible = ordered(all.filter((i) => fits(i, wanted)));
    const shown = new Set(visible);
    points.forEach((point, j) => point.classList.toggle("dim", !shown.has(data.map[j])));
    byId("shown").textContent = `${visible.length.toLocaleString("en")} of ${count.toLocaleString("en")} ${data.noun}`;
    turnTo(0);
    if (chosen >= 0 && !shown.has(chosen)) choose(visible[0]);
  }

  function ordered(images) {
    const order = byId("order") && data.orders[Number(byId("order").value)];
    if (!order) return images;
    const sign = order.first === "highest" ? -1 : 1;
    return images.sort((a, b) => sign * (order.values[a] - order.values[b]) || a - b);
  }

  function describeRange(wanted) {
    const nats = data.ranges[0].filter((_, i) => isInRange(i, wanted));
    byId("range-text").textContent = nats.length
      ? `${Math.min(...nats).toFixed(2)} to ${Math.max(...nats).toFixed(2)} nats` : "no image";
  }

  // The grid holds one page of the images that the filters leave.
  function turnTo(number) {
    const last = Math.max(0, Math.ceil(visible.length / data.per_page) - 1);
    page = Math.min(Math.max(number, 0), last);
    const start = page * data.per_page, shown = visible.slice(start, start + data.per_page);
    tiles.replaceChildren(...shown.map(tile));
    tiles.scrollTop = 0;
    markTile();
    byId("pages").hidden = last === 0;
    byId("previous").disabled = page === 0;
    byId("next").disabled = page === last;
    byId("page-text").textContent = `${(start + 1).toLocaleString("en")} to ${(start + shown.length).toLocaleString("en")}`;
  }

  function tile(i) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.image = i;
    button.title = data.names[i];
    button.setAttribute("aria-label", data.texts ? `${describe(i)}. ${data.texts[i]}` : describe(i));
    button.append(thumb(i, false));
    return button;
  }

  // Arrow keys walk through the images that the filters leave, from page to page; Tab leaves the grid.
  function walk(event) {
    const rest = [...tiles.children];
    const columns = rest.filter((button) => button.offsetTop === rest[0].offsetTop).length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns,
      Home: -Infinity, End: Infinity, PageDown: data.per_page, PageUp: -data.per_page };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const from = page * data.per_page + rest.indexOf(document.activeElement);
    const isFar = Math.abs(step) >= data.per_page;
    let next = from + step;
    if (isFar) next = Math.min(Math.max(next, 0), visible.length - 1);
    if (next < 0 || next >= visible.length) return;
    choose(visible[next]);
    focusOn(next);
  }

  function focusOn(place) {
    const number = Math.floor(place / data.per_page);
    if (number !== page) turnTo(number);
    const button = tiles.children[place - number * data.per_page];
    button.focus({ preventScroll: true });
    const top = button.offsetTop - tiles.offsetTop;
    if (top < tiles.scrollTop) tiles.scrollTop = top;
    const bottom = top + button.offsetHeight - tiles.clientHeight;
    if (bottom > tiles.scrollTop) tiles.scrollTop = bottom;
  }

  // What a link elsewhere on the page points at.
  function follow() {
    const photo = /^#photo-(\d+)$/.exec(location.hash);
    const shown = /^#show-(\w+)-([\w-]+)$/.exec(location.hash);
    if (photo && Number(photo[1]) < count) {
      const i = Number(photo[1]);
      if (!visible.includes(i)) reset();
      choose(i);
      turnTo(Math.floor(visible.indexOf(i) / data.per_page));
      reveal(detail);
      byId("detail-name").focus({ preventScroll: true });
    } else if (shown && byId(`${shown[1]}-filter`)) {
      reset();
      byId(`${shown[1]}-filter`).value = shown[2];
      filter();
      reveal(byId("filters"));
      byId(`${shown[1]}-filter`).focus({ preventScroll: true });
    }
  }

  function reset() {
    byId("filters").reset();
    filter();
  }

  function reveal(element) {
    element.scrollIntoView({ block: "start" });
  }

  // The image whose large point is nearest to the pointer, unless all are far from it; else -1.
  function nearestPoint(event) {
    const box = map.getBoundingClientRect();
    const x = (100 * (event.clientX - box.left)) / box.width;
    const y = (100 * (event.clientY - box.top)) / box.height;
    let best = -1, least = 9;
    points.forEach((point, j) => {
      if (point.classList.contains("dim")) return;
      const distance = (point.cx.baseVal.value - x) ** 2 + (point.cy.baseVal.value - y) ** 2;
      if (distance < least) [best, least] = [data.map[j], distance];
    });
    return best;
  }

  function preview(event) {
    const frame = byId("map-preview"), i = nearestPoint(event), box = map.getBoundingClientRect();
    frame.hidden = i < 0;
    if (i < 0) return;
    if (frame.dataset.image !== String(i)) frame.replaceChildren(thumb(i, false));
    frame.dataset.image = i;
    frame.style.left = `${Math.min(event.clientX - box.left + 14, box.width - 100)}px`;
    frame.style.top = `${event.clientY - box.top + 14}px`;
  }
}
