# syntax=docker/dockerfile:1
# A static wsbench in an image of nothing else, run as nobody.
#
#   docker build -t wsbench .                 the binary and its scenarios
#   docker build -t wsbench:ci --target ci .  with a shell, for CI jobs
#   docker run --rm --network host -v "$PWD:/data" wsbench run /data/broadcast.toml --url ws://127.0.0.1:3000

FROM rust:1.88-alpine3.22 AS build
SHELL ["/bin/ash", "-o", "pipefail", "-c"]
RUN apk add --no-cache musl-dev=~1.2
WORKDIR /src
COPY . .
# Alpine's Rust links statically by itself; the listing fails the build should that ever change.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked \
    && cp target/release/wsbench /wsbench \
    && if readelf -l /wsbench | grep INTERP; then echo "not static" >&2; exit 1; fi \
    && strip /wsbench \
    && mkdir -p /empty/tmp && chmod 1777 /empty/tmp

FROM alpine:3.22 AS ci
RUN apk add --no-cache bash=~5.2
COPY --from=build /wsbench /usr/local/bin/wsbench
COPY scenarios /usr/local/share/wsbench/scenarios
COPY ci/github/run.sh /usr/local/share/wsbench/run.sh
USER 65532:65532
WORKDIR /data
ENTRYPOINT ["wsbench"]

FROM scratch
COPY --from=build /empty/tmp /tmp
# The roots that wss:// targets are verified against.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /wsbench /usr/local/bin/wsbench
COPY scenarios /scenarios
USER 65532:65532
WORKDIR /data
ENTRYPOINT ["/usr/local/bin/wsbench"]
CMD ["--help"]
