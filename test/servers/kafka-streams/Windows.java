import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Window;
import org.apache.kafka.streams.processor.TimestampExtractor;

/**
 * Counts JSON events by key in windows of event time, and writes each count once, when its window has closed: as
 * `eventTime`, `aggregate` and `kafka.sink` do, and in the same words.
 *
 * It is told by name=value what to do: topic, results, size, grace and advance (ms; without it windows are tumbling), by
 * (the field to group by; without it the records' own key). What else it is told are settings of Kafka Streams. It says
 * `running`, `began` and when (ms), and how many records it has `dropped` when it is ended (SIGTERM).
 */
public class Windows {
    private static final ObjectMapper mapper = new ObjectMapper();
    private static final DateTimeFormatter iso =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSX").withZone(ZoneOffset.UTC);
    private static final Map<Window, String> windowTexts = new ConcurrentHashMap<>();

    public static void main(String[] arguments) {
        var settings = new Properties();
        for (var argument : arguments) {
            var at = argument.indexOf('=');
            settings.setProperty(argument.substring(0, at), argument.substring(at + 1));
        }
        var streams = new KafkaStreams(topology(settings), settings);
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.RUNNING) System.out.println("running");
        });
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            System.out.println("dropped " + dropped(streams));
            streams.close(Duration.ofSeconds(10));
        }));
        streams.start();
    }

    private static Topology topology(Properties settings) {
        var by = (String) settings.remove("by");
        var results = (String) settings.remove("results");
        var builder = new StreamsBuilder();
        var events = builder.stream(
                (String) settings.remove("topic"),
                Consumed.with(Serdes.String(), json()).withTimestampExtractor(eventTime()));
        KGroupedStream<String, JsonNode> grouped = by == null
                ? events.groupByKey()
                : events.selectKey((key, event) -> event.get(by).asText())
                        .groupByKey(Grouped.with("by-" + by, Serdes.String(), json()));
        grouped.windowedBy(windows(settings))
                .count()
                .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()))
                .toStream()
                .map((group, count) -> KeyValue.pair(group.key(), result(group.key(), group.window(), count)))
                .to(results, Produced.with(Serdes.String(), Serdes.String()));
        return builder.build();
    }

    private static TimeWindows windows(Properties settings) {
        var windows = TimeWindows.ofSizeAndGrace(ms(settings.remove("size")), ms(settings.remove("grace")));
        var advance = settings.remove("advance");
        return advance == null ? windows : windows.advanceBy(ms(advance));
    }

    private static Duration ms(Object text) {
        return Duration.ofMillis(Long.parseLong((String) text));
    }

    private static TimestampExtractor eventTime() {
        var hasBegun = new AtomicBoolean();
        return (record, before) -> {
            if (!hasBegun.get() && hasBegun.compareAndSet(false, true))
                System.out.println("began " + System.currentTimeMillis());
            return Instant.parse(((JsonNode) record.value()).get("timestamp").asText()).toEpochMilli();
        };
    }

    private static String result(String key, Window window, long count) {
        var text = windowTexts.computeIfAbsent(window, Windows::textOf);
        return "{\"key\":\"" + key + "\",\"window\":" + text + ",\"value\":" + count + "}";
    }

    private static String textOf(Window window) {
        return "{\"start\":\"" + iso.format(window.startTime()) + "\",\"end\":\"" + iso.format(window.endTime()) + "\"}";
    }

    private static Serde<JsonNode> json() {
        return Serdes.serdeFrom(
                (topic, event) -> event.toString().getBytes(StandardCharsets.UTF_8),
                (topic, bytes) -> {
                    try {
                        return mapper.readTree(bytes);
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                });
    }

    private static long dropped(KafkaStreams streams) {
        return streams.metrics().values().stream()
                .filter(metric -> metric.metricName().name().equals("dropped-records-total"))
                .mapToLong(metric -> ((Double) metric.metricValue()).longValue())
                .sum();
    }
}
