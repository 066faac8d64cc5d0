# The image of a Muniment node: every file in it was checked against requirements.lock.

FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements.lock ./
# The whole lock is fetched by hash; what follows may take from it only, so a node gets its runtime and no tools.
RUN pip download --quiet --no-deps --require-hashes --only-binary :all: --dest wheels -r requirements.lock
RUN python -m venv /opt/muniment
COPY pyproject.toml README.md LICENSE ./
COPY domain domain
COPY projections projections
COPY adapters adapters
COPY api api
COPY replay replay
COPY schemas schemas
# With both Kafka clients: MUNIMENT_KAFKA_CLIENT chooses.
RUN /opt/muniment/bin/pip install --quiet --no-index --find-links wheels '.[librdkafka]'

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin muniment \
    && install --directory --owner muniment --group muniment --mode 0700 /data
COPY --from=build /opt/muniment /opt/muniment
ENV PATH=/opt/muniment/bin:$PATH PYTHONUNBUFFERED=1 MUNIMENT_HOST=0.0.0.0
USER muniment
VOLUME /data
EXPOSE 8420
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8420/livez', timeout=2)"]
CMD ["muniment", "serve", "--data", "/data", "--port", "8420"]
