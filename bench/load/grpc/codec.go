package main

import "fmt"

// bytesCodec passes *[]byte through as it is.
type bytesCodec struct{}

func (bytesCodec) Marshal(message any) ([]byte, error) {
	bytes, ok := message.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is not bytes", message)
	}
	return *bytes, nil
}

func (bytesCodec) Unmarshal(data []byte, message any) error {
	bytes, ok := message.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is not bytes", message)
	}
	*bytes = append((*bytes)[:0], data...)
	return nil
}

// Name is what the content type carries; peers see application/grpc+proto as from any other client.
func (bytesCodec) Name() string { return "proto" }
