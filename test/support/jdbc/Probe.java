import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What DBeaver and its like do by ClickHouse's JDBC driver, as lines. */
public class Probe {
  public static void main(String[] args) throws Exception {
    Class.forName("com.clickhouse.jdbc.Driver");
    try (Connection connection = DriverManager.getConnection(args[0], "me", args[1]); Statement statement = connection.createStatement()) {
      try (ResultSet rows = statement.executeQuery("SELECT source, score, captured_at, detections.label FROM (SELECT source, score, captured_at, labels AS `detections.label` FROM predictions) ORDER BY source")) {
        while (rows.next()) System.out.println(rows.getString(1) + " " + rows.getDouble(2) + " " + rows.getTimestamp(3).getTime());
      }
      try (ResultSet rows = statement.executeQuery("SELECT sum(number) AS total, count() AS n, sum(length(text)) AS letters FROM (SELECT number, repeat(toString(number), 20) AS text FROM numbers(100000))")) {
        rows.next();
        System.out.println(rows.getLong("total") + " " + rows.getLong("n") + " " + rows.getLong("letters"));
      }
      try (ResultSet rows = statement.executeQuery("SELECT number, repeat(toString(number), 20) AS text FROM numbers(100000)")) {
        long total = 0;
        long letters = 0;
        while (rows.next()) {
          total += rows.getLong(1);
          letters += rows.getString(2).length();
        }
        System.out.println(total + " " + letters);
      }
      try (PreparedStatement prepared = connection.prepareStatement("SELECT count() FROM predictions WHERE source = ?")) {
        prepared.setString(1, "gate");
        try (ResultSet rows = prepared.executeQuery()) {
          rows.next();
          System.out.println(rows.getInt(1));
        }
      }
      try (ResultSet tables = connection.getMetaData().getTables(null, "saccade", "%", null)) {
        while (tables.next()) if (tables.getString("TABLE_NAME").equals("predictions")) System.out.println("table " + tables.getString("TABLE_NAME"));
      }
      try (ResultSet columns = connection.getMetaData().getColumns(null, "saccade", "predictions", "score")) {
        while (columns.next()) System.out.println("column " + columns.getString("COLUMN_NAME"));
      }
      for (String refused : new String[] {"SELECT * FROM saccade.predictions_raw", "SELECT * FROM file('/etc/passwd')", "SELECT nonsense FROM predictions"}) {
        try {
          statement.executeQuery(refused);
          System.out.println("answered");
        } catch (SQLException error) {
          Matcher code = Pattern.compile("Code: (\\d+)").matcher(String.valueOf(error.getMessage()) + error.getCause());
          System.out.println("refused " + (code.find() ? code.group(1) : error));
        }
      }
    }
  }
}
