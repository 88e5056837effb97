FROM oven/bun:1.4.5 AS build
WORKDIR /app
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile
COPY tsconfig.json ./
COPY drizzle drizzle
COPY src src
RUN bun run build

# The binary needs glibc and nothing else. It runs as uid 65532, on a read-only root if you like.
FROM gcr.io/distroless/base-debian12:nonroot
COPY --from=build /app/dist/taskwarden /taskwarden
ENV NODE_ENV=production
EXPOSE 3000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/taskwarden"]
