// gRPC of the bench, client and server in one program. Messages are raw bytes, so there is no schema to compile.
//
//	grpc server
//	grpc unary  ADDRESS AUTHORITY CONNECTIONS STREAMS SECONDS
//	grpc stream ADDRESS AUTHORITY CONNECTIONS STREAMS SECONDS
//
// The server prints "listening PORT" and ends when its standard input closes. A client keeps STREAMS calls under way
// on each connection, a closed loop: unary calls, or one message at a time on a bidirectional stream.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 1 && arguments[0] == "server" {
		return serve()
	}
	if len(arguments) != 6 {
		return fmt.Errorf("usage: grpc server | grpc unary|stream ADDRESS AUTHORITY CONNECTIONS STREAMS SECONDS")
	}
	return load(arguments)
}
