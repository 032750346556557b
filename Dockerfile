# syntax=docker/dockerfile:1
#
# Two images from one file:
#   docker build --target cpu  -t clipsearch:cpu .    (the default)
#   docker build --target cuda -t clipsearch:cuda .   (gigabytes; run it with --gpus all)
# scripts/check_dockerfile.py runs these commands where there is no Docker daemon.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# The package as a wheel, and the list of what it asks for.
FROM ${PYTHON_IMAGE} AS wheel
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY constraints.txt setup.cfg ./
RUN pip install --quiet --constraint constraints.txt --target /opt/build setuptools
RUN python -c "import configparser; c = configparser.ConfigParser(); c.read('setup.cfg'); \
    print(c['options']['install_requires'], c['options.extras_require']['postgres'], sep='\n')" > /opt/requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY clipsearch clipsearch
COPY migrations migrations
RUN PYTHONPATH=/opt/build pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /opt/wheel .

# An empty environment, which becomes one of the two.
FROM ${PYTHON_IMAGE} AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/clipsearch/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
RUN python -m venv /opt/clipsearch \
    && pip install --quiet --constraint constraints.txt --upgrade pip
COPY --from=wheel /opt/requirements.txt ./

# torch comes first and alone: pip cannot be told by a package which build of it to take.
FROM environment AS build-cpu
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --quiet --no-deps --index-url "$TORCH_INDEX_URL" \
        $(sed -n -E '/^torch(vision)?==/p' constraints.txt)
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --quiet --constraint constraints.txt --requirement requirements.txt
COPY --from=wheel /opt/wheel /opt/wheel
RUN pip install --quiet --no-deps /opt/wheel/*.whl

# The CUDA build is what PyPI itself holds for Linux; it brings NVIDIA's libraries.
FROM environment AS build-cuda
ARG TORCH_INDEX_URL=https://pypi.org/simple
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --quiet --no-deps --index-url "$TORCH_INDEX_URL" \
        $(sed -n -E '/^torch(vision)?==/p' constraints.txt)
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --quiet --constraint constraints.txt --requirement requirements.txt
COPY --from=wheel /opt/wheel /opt/wheel
RUN pip install --quiet --no-deps /opt/wheel/*.whl

# What runs: no build tools, no root, one folder that is written to.
FROM ${PYTHON_IMAGE} AS runtime
LABEL org.opencontainers.image.title="clipsearch" \
      org.opencontainers.image.description="Index, search and classify images with CLIP" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 clipsearch \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin clipsearch \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data
# Model weights go to the volume as well, so that they are downloaded once.
ENV PATH=/opt/clipsearch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    HF_HOME=/data/huggingface \
    CLIPSEARCH_DATA_DIR=/data
VOLUME /data
WORKDIR /data
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# Others reach it here, so that it answers to API keys only, and starts when there is one. Into the same volume:
#   docker run --rm -v clipsearch:/data clipsearch:cpu clipsearch keys create NAME --scope admin
CMD ["clipsearch", "serve", "--host", "0.0.0.0", "--port", "8000"]

FROM runtime AS cuda
COPY --from=build-cuda /opt/clipsearch /opt/clipsearch

FROM runtime AS cpu
COPY --from=build-cpu /opt/clipsearch /opt/clipsearch
