# The image of Tulle: Node, iptables, the libraries that they load, and the bundle. No shell, no package manager.
# `npm run image` makes the same without Docker (docs/decisions/018-image-without-docker.md).
FROM node:26-bookworm-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends binutils iptables \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /tulle
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
# Node is the one that npm brought: the tests ran on it.
RUN node_modules/node/bin/node build.ts \
  && node_modules/node/bin/node image/build.ts --root /image

FROM scratch
COPY --from=build /image /
ENV PATH=/usr/sbin:/usr/bin
USER 2102:2102
ENTRYPOINT ["/usr/bin/tulle"]
