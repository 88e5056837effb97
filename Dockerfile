FROM oven/bun:1.4.5-debian AS build
WORKDIR /app
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile
COPY tsconfig.json ./
COPY drizzle drizzle
COPY src src
RUN bun run build

# The binary, the glibc libraries that it needs (from this stage's Debian), and its user. Bun contains CA certificates.
# For a database with a CA of your own, mount the CA and set sslrootcert.
RUN mkdir -p /root-fs/etc /owned/data \
  && cp dist/taskwarden /root-fs/taskwarden \
  && ldd dist/taskwarden | grep -o '/[^ ]*' | xargs cp --parents --dereference --target-directory=/root-fs \
  && echo 'nonroot:x:65532:65532::/:/taskwarden' >/root-fs/etc/passwd \
  && echo 'nonroot:x:65532:' >/root-fs/etc/group \
  && echo 'hosts: files dns' >/root-fs/etc/nsswitch.conf

# Only the files listed above: no shell, no package manager. The root file system can be read-only: only the embedded
# database (DATABASE_URL=pglite:) writes, and only to /data.
FROM scratch
LABEL org.opencontainers.image.title="Taskwarden" \
  org.opencontainers.image.description="A REST API for the task lists of many users, in one process" \
  org.opencontainers.image.licenses="MIT"
COPY --from=build /root-fs/ /
COPY --from=build --chown=65532:65532 /owned/ /
# The garbage collector assumes 256 MiB of memory, not that of the host: a third less is used, at the same speed.
ENV NODE_ENV=production DATA_DIR=/data BUN_JSC_forceRAMSize=268435456
USER 65532:65532
EXPOSE 3000
STOPSIGNAL SIGTERM
# Checks that the process runs. A load balancer checks /ready to decide whether to send requests.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/taskwarden", "healthcheck"]
ENTRYPOINT ["/taskwarden"]
