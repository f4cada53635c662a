import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;

/** Java's own client as anybody writes it, which offers HTTP/2 unasked: URL PICTURE. Prints version, status and body of three requests by one client. */
public class Infer {
  public static void main(String[] args) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    HttpRequest post = HttpRequest.newBuilder(URI.create(args[0] + "/v1/infer")).header("content-type", "image/jpeg").POST(HttpRequest.BodyPublishers.ofFile(Path.of(args[1]))).build();
    HttpRequest get = HttpRequest.newBuilder(URI.create(args[0] + "/v1/models")).build();
    for (HttpRequest request : new HttpRequest[] {post, get, post}) {
      HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
      System.out.println(response.version() + " " + response.statusCode() + " " + response.body());
    }
  }
}
