# Debian's Postgres with the environment of the official image.
FROM holdback-test-base:local
COPY postgres-run /usr/local/bin/postgres-run
USER postgres
EXPOSE 5432
ENTRYPOINT ["/usr/local/bin/postgres-run"]
