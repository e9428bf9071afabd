// Takes a log apart with elastic/go-grok and writes JSON lines: the header first, then the patterns
// LINE_* of a grok file in their order.  Arguments: the grok file and the log.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"strings"

	"github.com/elastic/go-grok"
)

type alternative struct {
	name string
	grok *grok.Grok
}

func main() {
	definitions, order := read(os.Args[1])
	compiled := func(name string) *grok.Grok {
		one := grok.New()
		if err := one.AddPatterns(definitions); err != nil {
			log.Fatal(err)
		}
		if err := one.Compile("%{"+name+"}", true); err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		return one
	}
	header := compiled("HEADER")
	var alternatives []alternative
	for _, name := range order {
		if strings.HasPrefix(name, "LINE_") {
			alternatives = append(alternatives, alternative{name, compiled(name)})
		}
	}
	file, err := os.Open(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<18)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		fields, err := header.ParseString(lines.Text())
		if err != nil || len(fields) == 0 {
			continue
		}
		for _, one := range alternatives {
			found, err := one.grok.ParseString(fields["text"])
			if err == nil && len(found) > 0 {
				for name, value := range found {
					fields[name] = value
				}
				fields["kind"] = one.name
				break
			}
		}
		if err := encoder.Encode(fields); err != nil {
			log.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}

func read(path string) (map[string]string, []string) {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	definitions := map[string]string{}
	var order []string
	for _, line := range strings.Split(string(text), "\n") {
		name, pattern, found := strings.Cut(line, " ")
		if found && !strings.HasPrefix(line, "#") {
			definitions[name] = pattern
			order = append(order, name)
		}
	}
	return definitions, order
}
