# The image of plumb: one program on a minimal Debian. `docker build -t plumb .`
FROM docker.io/library/rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make pkg-config libssl-dev
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin plumb

# What it needs: the C library, OpenSSL for Git over ssh, and certificates of authorities. No shell, no package manager.
FROM docker.io/library/debian:bookworm-slim AS root
COPY deploy/root.sh /root.sh
COPY --from=build /src/target/release/plumb /plumb
RUN /root.sh /plumb /image

FROM scratch
COPY --from=root /image /
USER 65532:65532
ENTRYPOINT ["/usr/bin/plumb"]
CMD ["--help"]
LABEL org.opencontainers.image.title="plumb" \
      org.opencontainers.image.description="Declarative GitOps for SaaS APIs" \
      org.opencontainers.image.source="https://github.com/plumb-dev/plumb" \
      org.opencontainers.image.licenses="Apache-2.0"
