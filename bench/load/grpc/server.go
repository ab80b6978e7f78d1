package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"google.golang.org/grpc"
)

type echo interface {
	unary(message *[]byte) (*[]byte, error)
}

type echoServer struct{}

func (echoServer) unary(message *[]byte) (*[]byte, error) { return message, nil }

func handleUnary(server any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	message := new([]byte)
	if err := decode(message); err != nil {
		return nil, err
	}
	return server.(echo).unary(message)
}

func handleStream(_ any, stream grpc.ServerStream) error {
	message := new([]byte)
	for {
		if err := stream.RecvMsg(message); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(message); err != nil {
			return err
		}
	}
}

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodec(bytesCodec{}), grpc.MaxConcurrentStreams(1000))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Echo",
		HandlerType: (*echo)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: handleUnary}},
		Streams: []grpc.StreamDesc{
			{StreamName: "Stream", Handler: handleStream, ServerStreams: true, ClientStreams: true},
		},
	}, echoServer{})
	fmt.Printf("listening %d\n", listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return server.Serve(listener)
}
