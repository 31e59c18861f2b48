# The NATS server out of the locked Python package that also brings it to the lab, so that the chart's
# own small NATS runs in a cluster that can pull nothing. The context is the folder of the binary.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY nats-server /usr/local/bin/nats-server
USER 65532:65532
EXPOSE 4222 8222
ENTRYPOINT ["nats-server"]
