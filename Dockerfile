# One image with every binary of the workspace: the three services, and `emporium`, which runs all of them at once.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends build-essential pkg-config && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ENV SQLX_OFFLINE=true
RUN cargo build --release --locked \
    --package command-api --package projections --package query-api --package emporium

FROM debian:bookworm-slim
# The certificates by which https://api.stripe.com and an encrypted event store are known.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 emporium
COPY --from=build /src/target/release/command-api /src/target/release/projections \
     /src/target/release/query-api /src/target/release/emporium /usr/local/bin/
USER emporium
CMD ["emporium", "--help"]
