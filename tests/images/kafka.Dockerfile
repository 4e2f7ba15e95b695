# One Kafka node out of its jars, with the environment of the official image.
FROM holdback-test-base:local
COPY libs/ /opt/kafka/libs/
COPY kafka-run /etc/kafka/docker/run
RUN useradd --system --create-home --home-dir /var/lib/kafka kafka
USER kafka
EXPOSE 9092
CMD ["/etc/kafka/docker/run"]
