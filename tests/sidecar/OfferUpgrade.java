import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** Publishes, streams and acknowledges by a JDK client as it is: it offers h2c with each request. */
public class OfferUpgrade {
    public static void main(String[] args) throws Exception {
        String publicBase = args[0];
        String publishBase = args[1];
        String adminBase = args[2];
        HttpClient client = HttpClient.newHttpClient();
        HttpResponse<InputStream> stream = client.send(
            HttpRequest.newBuilder(URI.create(publicBase + "/sse/subscribe/42?stream=s")).build(),
            BodyHandlers.ofInputStream());
        System.out.println("stream " + stream.statusCode());
        String body = "{\"to\":{\"client\":\"42\"},\"data\":\"from java\"}";
        String id = "";
        for (int n = 0; n < 3; n++) {
            HttpResponse<String> published = client.send(
                HttpRequest.newBuilder(URI.create(publishBase + "/publish"))
                    .header("Content-Type", "application/json")
                    .POST(BodyPublishers.ofString(body)).build(),
                BodyHandlers.ofString());
            System.out.println("publish " + published.statusCode());
            id = published.body();
        }
        HttpResponse<String> acknowledged = client.send(
            HttpRequest.newBuilder(URI.create(publicBase + "/sse/subscribe/42/ack?stream=s"))
                .POST(BodyPublishers.ofString(id)).build(),
            BodyHandlers.ofString());
        System.out.println("acknowledge " + acknowledged.statusCode());
        HttpResponse<String> hook = client.send(
            HttpRequest.newBuilder(URI.create(adminBase + "/drain/pod"))
                .POST(BodyPublishers.ofString("{}")).build(),
            BodyHandlers.ofString());
        System.out.println("drain " + hook.statusCode());
        String all = new String(stream.body().readAllBytes());
        System.out.println("events " + (all.split("data: from java", -1).length - 1));
        System.out.println("shutdown " + all.contains("event: shutdown"));
    }
}
