// A MongoDB server for the tests: FerretDB with SQLite below it, in one process.
//
// Prints its address as a line on standard output when it listens, and ends with its standard input, so that no test
// leaves it behind.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address and port; port 0 takes any free one")
	data := flag.String("data", "", "folder of the databases")
	cert := flag.String("tls-cert", "", "file of a certificate: with it the server speaks TLS")
	key := flag.String("tls-key", "", "file of the certificate's key")
	verbose := flag.Bool("verbose", false, "write FerretDB's log to standard error")
	flag.Parse()
	if *data == "" {
		fail(fmt.Errorf("-data names the folder of the databases"))
	}
	logger := slog.New(slog.DiscardHandler)
	if *verbose {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	// Parts of FerretDB write to the default one.
	slog.SetDefault(logger)
	listener := ferretdb.ListenerConfig{TCP: *listen}
	if *cert != "" {
		listener = ferretdb.ListenerConfig{TLS: *listen, TLSCertFile: *cert, TLSKeyFile: *key}
	}
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  listener,
		Handler:   "sqlite",
		SQLiteURL: "file:" + *data + "/",
		Logger:    logger,
	})
	if err != nil {
		fail(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	go func() { fmt.Println(server.MongoDBURI()) }()
	if err := server.Run(ctx); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
