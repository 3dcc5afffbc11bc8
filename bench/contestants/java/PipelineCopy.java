import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/**
 * Reads JSON events, and puts them into pipeline.events: a COPY for each batch, and the positions in its transaction. It
 * is told by BROKERS, TOPIC, EVENTS, RUN and DATABASE, and says how many records a second it has read.
 */
public class PipelineCopy {
    private static final int rowsPerBatch = 5_000;
    private static final String columns =
            "event_id, event_type, user_id, occurred_at, payload, topic, partition, kafka_offset";

    public static void main(String[] arguments) throws Exception {
        var environment = System.getenv();
        var topic = environment.get("TOPIC");
        var total = Long.parseLong(environment.get("EVENTS"));
        var database = environment.get("DATABASE").replaceFirst("postgres://([^@]*)@(.*)", "jdbc:postgresql://$2?user=$1");
        var settings = new Properties();
        settings.put("bootstrap.servers", environment.get("BROKERS"));
        settings.put("group.id", "pipeline-" + environment.get("RUN"));
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", rowsPerBatch);
        var mapper = new ObjectMapper();
        try (var connection = DriverManager.getConnection(database);
                var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            connection.createStatement().execute("create table pipeline.positions (partition int primary key, position bigint)");
            connection.setAutoCommit(false);
            consumer.subscribe(List.of(topic));
            var lines = new StringBuilder();
            var next = new TreeMap<Integer, Long>();
            long read = 0;
            long began = 0;
            var rows = 0;
            while (read < total) {
                for (var record : consumer.poll(Duration.ofMillis(50))) {
                    if (began == 0) began = System.nanoTime();
                    var text = new String(record.value(), StandardCharsets.UTF_8);
                    var event = mapper.readTree(text);
                    field(lines, event.get("eventId").asText());
                    field(lines, event.get("eventType").asText());
                    field(lines, event.get("userId").asText());
                    field(lines, event.get("timestamp").asText());
                    field(lines, text);
                    field(lines, topic);
                    lines.append(record.partition()).append('\t').append(record.offset()).append('\n');
                    next.put(record.partition(), record.offset() + 1);
                    read++;
                    rows++;
                }
                if (rows < rowsPerBatch && read < total) continue;
                write(connection, lines, next);
                lines.setLength(0);
                rows = 0;
            }
            var perSecond = Math.round(total / ((System.nanoTime() - began) / 1e9));
            System.out.println("{\"recordsPerSecond\":" + perSecond + ",\"rssMiB\":" + peakMiB() + "}");
        }
    }

    private static void write(Connection connection, StringBuilder lines, Map<Integer, Long> next) throws Exception {
        CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
        var copy = copies.copyIn("copy pipeline.events (" + columns + ") from stdin");
        var bytes = lines.toString().getBytes(StandardCharsets.UTF_8);
        copy.writeToCopy(bytes, 0, bytes.length);
        copy.endCopy();
        var sql = "insert into pipeline.positions values (?, ?) on conflict (partition) do update set position = excluded.position";
        try (var statement = connection.prepareStatement(sql)) {
            for (var entry : next.entrySet()) {
                statement.setInt(1, entry.getKey());
                statement.setLong(2, entry.getValue());
                statement.addBatch();
            }
            statement.executeBatch();
        }
        connection.commit();
    }

    private static void field(StringBuilder lines, String text) {
        for (var index = 0; index < text.length(); index++) {
            var character = text.charAt(index);
            if (character == '\\' || character == '\n' || character == '\r' || character == '\t') lines.append('\\');
            lines.append(character);
        }
        lines.append('\t');
    }

    private static long peakMiB() throws Exception {
        for (var line : Files.readAllLines(Path.of("/proc/self/status")))
            if (line.startsWith("VmHWM:")) return Long.parseLong(line.replaceAll("\\D", "")) / 1024;
        return 0;
    }
}
