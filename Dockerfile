# One image for `junto serve`, `junto worker` and every other command. Build: docker build -t junto .

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/junto
COPY requirements/run.txt /tmp/run.txt
# Exactly the locked files, by their hashes, and wheels only: nothing of anybody else's is run while the image is built.
RUN /opt/junto/bin/pip install --no-deps --require-hashes --only-binary :all: -r /tmp/run.txt
COPY src/junto /opt/junto/lib/python3.12/site-packages/junto
COPY --chmod=755 container/junto /opt/junto/bin/junto
RUN /opt/junto/bin/python -m compileall -q /opt/junto/lib/python3.12/site-packages/junto

FROM python:3.12-slim
ARG GIT_SHA=unknown
# libgomp: what the engine of local models is linked against.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 junto \
    && useradd --system --uid 10001 --gid junto --no-create-home --home-dir /data junto \
    && install --directory --owner junto --group junto --mode 700 /data /output
COPY --from=build /opt/junto /opt/junto
COPY container/junto.yaml /etc/junto/junto.yaml
COPY prompts /etc/junto/prompts
COPY seed /etc/junto/seed
ENV PATH=/opt/junto/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    JUNTO_GIT_SHA=$GIT_SHA \
    JUNTO_CONFIG=/etc/junto/junto.yaml \
    JUNTO_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 11430
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:11430/health/live', timeout=4)"]
ENTRYPOINT ["junto"]
CMD ["serve"]
