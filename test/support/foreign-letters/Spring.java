import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaOperations;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.listener.MessageListener;
import org.springframework.kafka.support.serializer.ErrorHandlingDeserializer;
import org.springframework.util.backoff.FixedBackOff;

/** Takes records of a topic, none of which it can take, as an application of Spring does that has dead letters. */
public class Spring {
  /** Takes what begins with a brace. */
  public static class Picky implements Deserializer<String> {
    public String deserialize(String topic, byte[] data) {
      String text = new String(data);
      if (!text.startsWith("{")) throw new IllegalArgumentException("no object: " + text);
      return text;
    }
  }

  public static void main(String[] args) throws Exception {
    String brokers = args[0], topic = args[1], letters = args[2];
    CountDownLatch left = new CountDownLatch(Integer.parseInt(args[3]));
    Map<String, Object> consumer = Map.of(
        ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
        ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    Map<String, Object> producer = Map.of("bootstrap.servers", brokers);
    Map<Class<?>, KafkaOperations<?, ?>> templates = new LinkedHashMap<>();
    templates.put(byte[].class, new KafkaTemplate<>(
        new DefaultKafkaProducerFactory<>(producer, new StringSerializer(), new ByteArraySerializer())));
    templates.put(String.class, new KafkaTemplate<>(
        new DefaultKafkaProducerFactory<>(producer, new StringSerializer(), new StringSerializer())));
    DeadLetterPublishingRecoverer recoverer =
        new DeadLetterPublishingRecoverer(templates, (record, error) -> new TopicPartition(letters, 0));
    DefaultErrorHandler handler = new DefaultErrorHandler((record, error) -> {
      recoverer.accept(record, error);
      left.countDown();
    }, new FixedBackOff(0, 1));
    ContainerProperties properties = new ContainerProperties(topic);
    properties.setGroupId("billing");
    properties.setMessageListener((MessageListener<String, String>) record -> {
      throw new IllegalStateException("no customer of order " + record.value());
    });
    KafkaMessageListenerContainer<String, String> container = new KafkaMessageListenerContainer<>(
        new DefaultKafkaConsumerFactory<>(consumer, new StringDeserializer(),
            new ErrorHandlingDeserializer<>(new Picky())), properties);
    container.setCommonErrorHandler(handler);
    container.start();
    boolean all = left.await(60, TimeUnit.SECONDS);
    container.stop();
    System.exit(all ? 0 : 1);
  }
}
