// Ships the lines of a file as Filebeat does: over Elastic's own client of Lumberjack 2, in batches,
// and with a registry of what was acknowledged.  What was not is sent again, over a new connection;
// after a crash the file is read again from the place in the registry.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	v2 "github.com/elastic/go-lumber/client/v2"
)

type object = map[string]interface{}

var (
	address  = flag.String("address", "", "host:port")
	path     = flag.String("file", "", "the log file, which may grow")
	registry = flag.String("registry", "", "file with the place up to which all is acknowledged")
	inflight = flag.Int("inflight", 0, "batches under way at a time; 0 is the synchronous client")
	level    = flag.Int("compress", 0, "zlib's level")
	batch    = flag.Int("batch", 200, "events in a batch")
	host     = flag.String("host", "mx1", "host.name")
	ca       = flag.String("ca", "", "authority to trust: TLS")
	cert     = flag.String("cert", "", "own certificate")
	key      = flag.String("key", "", "and its key")
	once     = flag.Bool("once", false, "end at the end of the file, when all is acknowledged")
	timeout  = flag.Duration("timeout", 30*time.Second, "wait for a word of the server")
)

// An event, and where its line ends.
type line struct {
	event interface{}
	end   int64
}

func dial(network, address string) (net.Conn, error) {
	if *ca == "" {
		return net.Dial(network, address)
	}
	authority, err := os.ReadFile(*ca)
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	config.RootCAs.AppendCertsFromPEM(authority)
	if *cert != "" {
		own, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			log.Fatal(err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return tls.Dial(network, address, config)
}

func acknowledged() int64 {
	text, err := os.ReadFile(*registry)
	if err != nil {
		return 0
	}
	place, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	return place
}

func acknowledge(place int64) {
	if err := os.WriteFile(*registry+".new", []byte(strconv.FormatInt(place, 10)), 0o600); err != nil {
		log.Fatal(err)
	}
	if err := os.Rename(*registry+".new", *registry); err != nil {
		log.Fatal(err)
	}
}

// Reader gives the events of whole lines.
type reader struct {
	in    *bufio.Reader
	place int64
	part  string
}

func (r *reader) lines(most int) []line {
	var lines []line
	for len(lines) < most {
		piece, err := r.in.ReadString('\n')
		r.part += piece
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		whole := r.part
		r.part = ""
		event := object{
			"@timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
			"@metadata":  object{"beat": "filebeat", "type": "_doc", "version": "8.15.0"},
			"message":    strings.TrimSuffix(whole, "\n"),
			"log":        object{"offset": r.place, "file": object{"path": *path, "inode": "4711"}},
			"host":       object{"name": *host, "os": object{"family": "debian", "kernel": "6.1.0"}},
			"agent":      object{"type": "filebeat", "version": "8.15.0", "name": *host},
			"input":      object{"type": "filestream"},
			"ecs":        object{"version": "8.0.0"},
		}
		r.place += int64(len(whole))
		lines = append(lines, line{event, r.place})
	}
	return lines
}

func events(lines []line) []interface{} {
	data := make([]interface{}, len(lines))
	for i, each := range lines {
		data[i] = each.event
	}
	return data
}

// Sync sends a batch; gives what is left of it.
func sendSync(client **v2.SyncClient, lines []line) []line {
	var err error
	if *client == nil {
		if *client, err = v2.SyncDialWith(dial, *address, v2.CompressionLevel(*level), v2.Timeout(*timeout)); err != nil {
			*client = nil
			log.Print(err)
			time.Sleep(50 * time.Millisecond)
			return lines
		}
	}
	count, err := (*client).Send(events(lines))
	if count > 0 {
		acknowledge(lines[count-1].end)
	}
	if err != nil {
		log.Print(err)
		(*client).Close()
		*client = nil
	}
	return lines[count:]
}

// Async sends batches, several of them under way; gives those that were not acknowledged.
func sendAsync(batches [][]line) [][]line {
	client, err := v2.AsyncDialWith(dial, *address, *inflight, v2.CompressionLevel(*level), v2.Timeout(*timeout))
	if err != nil {
		log.Print(err)
		time.Sleep(50 * time.Millisecond)
		return batches
	}
	var lock sync.Mutex
	var waiting sync.WaitGroup
	var left [][]line
	for i, lines := range batches {
		lines := lines
		waiting.Add(1)
		err := client.Send(func(count uint32, err error) {
			lock.Lock()
			defer lock.Unlock()
			defer waiting.Done()
			if len(left) == 0 && count > 0 {
				acknowledge(lines[count-1].end)
			} else if err == nil && len(left) > 0 {
				count = 0
			}
			if rest := lines[count:]; len(rest) > 0 {
				left = append(left, rest)
			}
		}, events(lines))
		if err != nil {
			log.Print(err)
			waiting.Wait()
			left = append(left, batches[i+1:]...)
			client.Close()
			return left
		}
	}
	waiting.Wait()
	client.Close()
	return left
}

func main() {
	flag.Parse()
	file, err := os.Open(*path)
	if err != nil {
		log.Fatal(err)
	}
	place := acknowledged()
	if _, err := file.Seek(place, io.SeekStart); err != nil {
		log.Fatal(err)
	}
	in := &reader{in: bufio.NewReader(file), place: place}
	var client *v2.SyncClient
	var left [][]line
	for {
		for len(left) < 20 {
			lines := in.lines(*batch)
			if len(lines) == 0 {
				break
			}
			left = append(left, lines)
		}
		switch {
		case len(left) == 0 && *once:
			return
		case len(left) == 0:
			time.Sleep(20 * time.Millisecond)
		case *inflight > 0:
			left = sendAsync(left)
		default:
			if left[0] = sendSync(&client, left[0]); len(left[0]) == 0 {
				left = left[1:]
			}
		}
	}
}
