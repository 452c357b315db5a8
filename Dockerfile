# CPU:  docker build -t and-tf .
# GPU:  docker build -t and-tf:gpu --build-arg EXTRA="tensorflow[and-cuda]" .
# Use:  docker run --rm -v "$PWD:/work" and-tf and-embed --images=photos
#       (GPU: add --gpus=all; files belong to user 1000 unless you add --user "$(id -u):$(id -g)")
FROM python:3.11-slim

ARG EXTRA=""
WORKDIR /src
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt ${EXTRA:+"$EXTRA"}

COPY pyproject.toml setup.py README.md LICENSE requirements*.txt ./
COPY and_tf ./and_tf
COPY configs ./configs
RUN pip install --no-cache-dir --no-deps .

# Runs, caches and tables are written as a plain user, below the folder that is mounted at /work.
RUN useradd --create-home --uid 1000 user
USER user
ENV XDG_CACHE_HOME=/tmp/cache HOME=/tmp
WORKDIR /work

# No entry point: the command names the program, such as and-train or and-embed.
CMD ["and-train", "--help"]
