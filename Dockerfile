FROM oven/bun:1.4.5-debian AS build
WORKDIR /app
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile
COPY tsconfig.json ./
COPY drizzle drizzle
COPY src src
RUN bun run build

# The binary, the libraries that it names (glibc's, of this stage's Debian), and who it runs as. Bun carries its own
# certificates; to verify a database by a CA of your own, mount that and name it by sslrootcert.
RUN mkdir -p /root-fs/etc /owned/data \
  && cp dist/taskwarden /root-fs/taskwarden \
  && ldd dist/taskwarden | grep -o '/[^ ]*' | xargs cp --parents --dereference --target-directory=/root-fs \
  && echo 'nonroot:x:65532:65532::/:/taskwarden' >/root-fs/etc/passwd \
  && echo 'nonroot:x:65532:' >/root-fs/etc/group \
  && echo 'hosts: files dns' >/root-fs/etc/nsswitch.conf

# No shell, no package manager, nothing that is not listed above. The root may be read-only; only the embedded
# database (DATABASE_URL=pglite:) writes, and only to /data.
FROM scratch
LABEL org.opencontainers.image.title="Taskwarden" \
  org.opencontainers.image.description="A secure, multi-user task management REST API in one process" \
  org.opencontainers.image.licenses="MIT"
COPY --from=build /root-fs/ /
COPY --from=build --chown=65532:65532 /owned/ /
ENV NODE_ENV=production DATA_DIR=/data
USER 65532:65532
EXPOSE 3000
STOPSIGNAL SIGTERM
# Whether the process runs. Whether it is to be sent requests, a load balancer asks at /ready.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/taskwarden", "healthcheck"]
ENTRYPOINT ["/taskwarden"]
