# One image for both processes: `docker run … python -m core` or `python -m bridge`.

FROM python:3.11-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The packages come from the lock, each checked by its hash; the wheel brings none.
RUN make wheel && python -m venv /opt/holdfast \
    && /opt/holdfast/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock \
    && /opt/holdfast/bin/pip install --no-cache-dir --no-deps dist/holdfast-*.whl

FROM python:3.11-slim
RUN useradd --system --create-home --home-dir /var/lib/holdfast holdfast
COPY --from=build /opt/holdfast /opt/holdfast
ENV PATH=/opt/holdfast/bin:$PATH PYTHONUNBUFFERED=1 LOG_FORMAT=json
USER holdfast
WORKDIR /var/lib/holdfast
EXPOSE 8000 50051
CMD ["python", "-m", "bridge"]
