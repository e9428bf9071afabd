import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jcodings.specific.ISO8859_1Encoding;
import org.joni.Matcher;
import org.joni.NameEntry;
import org.joni.Option;
import org.joni.Regex;
import org.joni.Region;

/**
 * Takes a log apart with Joni, the regular expressions of Logstash, and writes JSON lines.
 *
 * <p>Arguments: a file of NAME, tab, expression (HEADER and those of programs), and the log.  It does
 * what the grok filter cannot do without: matching, and collecting the fields; there is no pipeline.
 */
public final class Grok {
  private static final byte[] HEX = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);

  /** An expression, with the names of its groups as they stand in the output. */
  private record Pattern(Regex regex, List<byte[]> names, List<int[]> groups) {
    static Pattern of(String source) {
      byte[] bytes = source.getBytes(StandardCharsets.ISO_8859_1);
      Regex regex = new Regex(bytes, 0, bytes.length, Option.NONE, ISO8859_1Encoding.INSTANCE);
      List<byte[]> names = new ArrayList<>();
      List<int[]> groups = new ArrayList<>();
      for (var entries = regex.namedBackrefIterator(); entries.hasNext(); ) {
        NameEntry entry = entries.next();
        String name = new String(entry.name, entry.nameP, entry.nameEnd - entry.nameP, StandardCharsets.US_ASCII);
        names.add(("\"" + name + "\":\"").getBytes(StandardCharsets.US_ASCII));
        groups.add(entry.getBackRefs());
      }
      return new Pattern(regex, names, groups);
    }

    Region match(byte[] line, int begin, int end) {
      Matcher matcher = regex.matcher(line, begin, end);
      return matcher.search(begin, end, Option.NONE) < 0 ? null : matcher.getEagerRegion();
    }
  }

  private final Map<String, Pattern> patterns = new HashMap<>();
  private final OutputStream out = new BufferedOutputStream(System.out, 1 << 18);

  private Grok(Path sources) throws IOException {
    for (String line : Files.readAllLines(sources, StandardCharsets.ISO_8859_1)) {
      String[] parts = line.split("\t", 2);
      patterns.put(parts[0], Pattern.of(parts[1]));
    }
  }

  private void take(byte[] line, int begin, int end) throws IOException {
    Pattern header = patterns.get("HEADER");
    Region fields = header.match(line, begin, end);
    if (fields == null) {
      return;
    }
    out.write('{');
    write(header, fields, line, begin, "");
    // The groups of the header: time, host, program, process and text.
    int program = begin + fields.getBeg(3);
    int programEnd = begin + fields.getEnd(3);
    for (int i = program; i < programEnd; i++) {
      if (line[i] == '/') {
        program = i + 1;
      }
    }
    Pattern pattern = patterns.get(new String(line, program, programEnd - program, StandardCharsets.ISO_8859_1));
    if (pattern != null) {
      int text = begin + fields.getBeg(5);
      Region found = pattern.match(line, text, end);
      if (found != null) {
        write(pattern, found, line, text, ",");
      }
    }
    out.write('}');
    out.write('\n');
  }

  private void write(Pattern pattern, Region fields, byte[] line, int begin, String separator) throws IOException {
    boolean first = separator.isEmpty();
    for (int i = 0; i < pattern.names.size(); i++) {
      for (int group : pattern.groups.get(i)) {
        if (fields.getBeg(group) >= 0) {
          if (!first) {
            out.write(',');
          }
          first = false;
          out.write(pattern.names.get(i));
          text(line, begin + fields.getBeg(group), begin + fields.getEnd(group));
          out.write('"');
          break;
        }
      }
    }
  }

  private void text(byte[] line, int begin, int end) throws IOException {
    for (int i = begin; i < end; i++) {
      int octet = line[i] & 0xff;
      if (octet == '"' || octet == '\\') {
        out.write('\\');
        out.write(octet);
      } else if (octet < 0x20 || octet >= 0x7f) {
        out.write("\\u00".getBytes(StandardCharsets.US_ASCII));
        out.write(HEX[octet >> 4]);
        out.write(HEX[octet & 15]);
      } else {
        out.write(octet);
      }
    }
  }

  public static void main(String[] arguments) throws IOException {
    Grok grok = new Grok(Path.of(arguments[0]));
    byte[] block = new byte[1 << 20];
    int kept = 0;
    try (var log = Files.newInputStream(Path.of(arguments[1]))) {
      for (int read; (read = log.read(block, kept, block.length - kept)) >= 0; ) {
        int end = kept + read;
        int begin = 0;
        for (int i = kept; i < end; i++) {
          if (block[i] == '\n') {
            grok.take(block, begin, i);
            begin = i + 1;
          }
        }
        kept = end - begin;
        System.arraycopy(block, begin, block, 0, kept);
      }
    }
    grok.out.flush();
  }
}
