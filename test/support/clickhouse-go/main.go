// What Grafana's ClickHouse plug-in does by the Go client: a JSON question a line of standard input, a JSON answer a line of output.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"reflect"

	"github.com/ClickHouse/clickhouse-go/v2"
)

type answer struct {
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
	Error   string     `json:"error"`
}

var compressions = map[string]clickhouse.CompressionMethod{
	"gzip": clickhouse.CompressionGZIP, "lz4": clickhouse.CompressionLZ4, "none": clickhouse.CompressionNone,
}

func main() {
	db := clickhouse.OpenDB(&clickhouse.Options{
		Addr:        []string{os.Args[1]},
		Protocol:    clickhouse.HTTP,
		Auth:        clickhouse.Auth{Database: "saccade", Username: "grafana", Password: os.Args[2]},
		Compression: &clickhouse.Compression{Method: compressions[os.Args[3]]},
		Settings:    clickhouse.Settings{"limit": 100000},
	})
	defer db.Close()
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	// As the plug-in does when a data source is saved.
	if err := db.PingContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for in.Scan() {
		var query string
		if err := json.Unmarshal(in.Bytes(), &query); err != nil {
			panic(err)
		}
		found, err := ask(db, query)
		if err != nil {
			found.Error = err.Error()
		}
		if err := out.Encode(found); err != nil {
			panic(err)
		}
	}
}

func ask(db *sql.DB, query string) (found answer, err error) {
	rows, err := db.QueryContext(context.Background(), query)
	if err != nil {
		return found, err
	}
	defer rows.Close()
	if found.Columns, err = rows.Columns(); err != nil {
		return found, err
	}
	for rows.Next() {
		values := make([]any, len(found.Columns))
		into := make([]any, len(found.Columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return found, err
		}
		row := make([]string, len(found.Columns))
		for i, value := range values {
			row[i] = fmt.Sprint(value)
			if pointed := reflect.ValueOf(value); pointed.Kind() == reflect.Pointer && !pointed.IsNil() {
				row[i] = fmt.Sprint(pointed.Elem())
			}
		}
		found.Rows = append(found.Rows, row)
	}
	return found, rows.Err()
}
