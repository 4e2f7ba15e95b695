package holdback;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The job of the bench on Kafka Streams: orders in, a hold each, all released when the gate opens.
 * Three stores (holds, what is due, balances by merchant) on RocksDB with changelogs, exactly_once_v2.
 * The clock is that of the bench, a read_committed reader's; it starts a quarter late, since a JVM is
 * slow at first.
 */
public final class Twin {
  private static final Duration PATIENCE = Duration.ofMinutes(15);
  /** Releases of one task between two looks at its input. */
  private static final int BURST = 5_000;

  private static final Pattern ORDER =
      Pattern.compile("\"order_id\":\"([^\"]+)\".*\"amount\":\"([^\"]+)\".*\"completed_at\":\"([^\"]+)\"");

  private Twin() {}

  /** One task's work on its partition. */
  private static final class Holding implements Processor<String, String, String, String> {
    private ProcessorContext<String, String> context;
    private KeyValueStore<String, String> holds;
    private KeyValueStore<String, String> due;
    private KeyValueStore<String, String> balances;
    private boolean open;
    /** The last that was released: what lies before it is deleted, and slow to pass over again. */
    private String reached = "";

    @Override
    public void init(ProcessorContext<String, String> context) {
      this.context = context;
      holds = context.getStateStore("holds");
      due = context.getStateStore("due");
      balances = context.getStateStore("balances");
      context.schedule(Duration.ofMillis(5), PunctuationType.WALL_CLOCK_TIME, now -> release());
    }

    @Override
    public void process(Record<String, String> record) {
      if (record.value().equals("open")) {
        open = true;
        return;
      }
      Matcher order = ORDER.matcher(record.value());
      if (!order.find()) {
        throw new IllegalArgumentException(record.value());
      }
      String merchant = record.key();
      String hold = merchant + "/" + order.group(1);
      if (holds.putIfAbsent(hold, order.group(2)) != null) {
        return;
      }
      due.put(order.group(3) + "/" + hold, order.group(2));
      move(merchant, order.group(2), "0");
      context.forward(record.withValue(event(hold, "held", order.group(2))), "events");
    }

    private void release() {
      if (!open) {
        return;
      }
      try (KeyValueIterator<String, String> all = due.range(reached, null)) {
        for (int count = 0; count < BURST && all.hasNext(); count++) {
          var next = all.next();
          reached = next.key;
          String hold = next.key.substring(next.key.indexOf('/') + 1);
          String merchant = hold.substring(0, hold.indexOf('/'));
          due.delete(next.key);
          holds.put(hold, "released " + next.value);
          move(merchant, "-" + next.value, next.value);
          context.forward(
              new Record<>(merchant, event(hold, "released", next.value), context.currentSystemTimeMs()),
              "releases");
        }
      }
    }

    private void move(String merchant, String held, String released) {
      String before = balances.get(merchant);
      String[] sums = before == null ? new String[] {"0", "0"} : before.split(" ");
      balances.put(
          merchant,
          new BigDecimal(sums[0]).add(new BigDecimal(held))
              + " "
              + new BigDecimal(sums[1]).add(new BigDecimal(released)));
    }

    private static String event(String hold, String what, String amount) {
      return "{\"hold\":\"" + hold + "\",\"event\":\"" + what + "\",\"amount\":\"" + amount + "\"}";
    }
  }

  private static Topology topology(String input, String gate, String events, String releases) {
    Topology topology = new Topology();
    topology.addSource("orders", input, gate).addProcessor("holding", Holding::new, "orders");
    for (String name : List.of("holds", "due", "balances")) {
      StoreBuilder<KeyValueStore<String, String>> store =
          Stores.keyValueStoreBuilder(
                  Stores.persistentKeyValueStore(name), Serdes.String(), Serdes.String())
              .withCachingEnabled();
      topology.addStateStore(store, "holding");
    }
    return topology.addSink("events", events, "holding").addSink("releases", releases, "holding");
  }

  /** Counts what becomes visible; answers the events per second once a quarter has warmed it up. */
  private static long read(KafkaConsumer<String, String> reader, long wanted) {
    long until = System.nanoTime() + PATIENCE.toNanos();
    long seen = 0;
    long first = 0;
    long began = 0;
    while (seen < wanted) {
      if (System.nanoTime() > until) {
        throw new IllegalStateException("only " + seen + " of " + wanted + " became visible");
      }
      for (ConsumerRecord<String, String> ignored : reader.poll(Duration.ofMillis(20))) {
        seen++;
      }
      if (began == 0 && seen >= wanted / 4) {
        began = System.nanoTime();
        first = seen;
      }
    }
    return (seen - first) * 1_000_000_000L / Math.max(1, System.nanoTime() - began);
  }

  private static KafkaConsumer<String, String> reader(String brokers, String topic, int partitions) {
    Map<String, Object> settings =
        Map.of("bootstrap.servers", brokers, "isolation.level", "read_committed", "auto.offset.reset", "earliest");
    var reader = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    reader.assign(IntStream.range(0, partitions).mapToObj(n -> new TopicPartition(topic, n)).toList());
    return reader;
  }

  private static Properties settings(String brokers, String name, Path state, String commitMillis) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, commitMillis);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    settings.put(StreamsConfig.producerPrefix("linger.ms"), 20);
    settings.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    return settings;
  }

  public static void main(String[] arguments) throws Exception {
    String brokers = arguments[0];
    String input = arguments[1];
    long orders = Long.parseLong(arguments[2]);
    String commitMillis = arguments[3];
    String name = "streams-" + Long.toHexString(System.nanoTime());
    String gate = name + "-gate";
    String events = name + "-events";
    String releases = name + "-releases";
    Path state = Files.createTempDirectory("holdback-streams");
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", brokers))) {
      int partitions =
          admin.describeTopics(List.of(input)).allTopicNames().get().get(input).partitions().size();
      List<NewTopic> topics = new ArrayList<>();
      for (String topic : List.of(gate, events, releases)) {
        topics.add(new NewTopic(topic, partitions, (short) 1));
      }
      admin.createTopics(topics).all().get();
      Topology topology = topology(input, gate, events, releases);
      try (var streams = new KafkaStreams(topology, settings(brokers, name, state, commitMillis));
          var held = reader(brokers, events, partitions);
          var released = reader(brokers, releases, partitions)) {
        streams.start();
        long ingest = read(held, orders);
        open(brokers, gate, partitions);
        long release = read(released, orders);
        System.out.println(
            "{\"subject\":\"kafka-streams\",\"phases\":["
                + phase("ingest", orders, ingest) + "," + phase("release", orders, release) + "]}");
      }
    } finally {
      try (var files = Files.walk(state)) {
        files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
      }
    }
  }

  private static void open(String brokers, String gate, int partitions) throws Exception {
    Map<String, Object> settings = Map.of("bootstrap.servers", brokers);
    try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
      for (int partition = 0; partition < partitions; partition++) {
        producer.send(new ProducerRecord<>(gate, partition, "gate", "open")).get();
      }
    }
  }

  private static String phase(String name, long events, long perSecond) {
    return "{\"phase\":\"" + name + "\",\"events\":" + events + ",\"read_back_per_second\":" + perSecond + "}";
  }
}
