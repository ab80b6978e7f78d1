package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const messageBytes = 100

// caller makes one exchange of a message at a time; it is used by one goroutine.
type caller func() error

func unaryCaller(connection *grpc.ClientConn) (caller, error) {
	message, answer := make([]byte, messageBytes), new([]byte)
	return func() error {
		if err := connection.Invoke(context.Background(), "/bench.Echo/Unary", &message, answer); err != nil {
			return err
		}
		return check(*answer)
	}, nil
}

func streamCaller(connection *grpc.ClientConn) (caller, error) {
	description := &grpc.StreamDesc{StreamName: "Stream", ServerStreams: true, ClientStreams: true}
	stream, err := connection.NewStream(context.Background(), description, "/bench.Echo/Stream")
	if err != nil {
		return nil, err
	}
	message, answer := make([]byte, messageBytes), new([]byte)
	return func() error {
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
		if err := stream.RecvMsg(answer); err != nil {
			return err
		}
		return check(*answer)
	}, nil
}

func check(answer []byte) error {
	if len(answer) != messageBytes {
		return fmt.Errorf("%d bytes came back instead of %d", len(answer), messageBytes)
	}
	return nil
}

// result is what one goroutine saw.
type result struct {
	micros []uint32
	errors int
	last   error
}

const mostErrors = 100

func loop(call caller, end time.Time) result {
	seen := result{micros: make([]uint32, 0, 1<<16)}
	for now := time.Now(); now.Before(end) && seen.errors < mostErrors; {
		err := call()
		done := time.Now()
		if err != nil {
			seen.errors++
			seen.last = err
		} else {
			seen.micros = append(seen.micros, uint32(done.Sub(now).Microseconds()))
		}
		now = done
	}
	return seen
}

func load(arguments []string) error {
	newCaller := map[string]func(*grpc.ClientConn) (caller, error){"unary": unaryCaller, "stream": streamCaller}[arguments[0]]
	connections, err1 := strconv.Atoi(arguments[3])
	streams, err2 := strconv.Atoi(arguments[4])
	seconds, err3 := strconv.ParseFloat(arguments[5], 64)
	if newCaller == nil || err1 != nil || err2 != nil || err3 != nil {
		return fmt.Errorf("not to be understood: %v", arguments)
	}
	var callers []caller
	for range connections {
		connection, err := grpc.NewClient("passthrough:///"+arguments[1], grpc.WithAuthority(arguments[2]),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesCodec{})))
		if err != nil {
			return err
		}
		defer connection.Close()
		for range streams {
			call, err := newCaller(connection)
			if err != nil {
				return err
			}
			callers = append(callers, call)
		}
	}
	report(measure(callers, time.Duration(seconds*float64(time.Second))))
	return nil
}

func measure(callers []caller, length time.Duration) ([]result, time.Duration) {
	results := make([]result, len(callers))
	start := time.Now()
	var running sync.WaitGroup
	for index, call := range callers {
		running.Go(func() { results[index] = loop(call, start.Add(length)) })
	}
	running.Wait()
	return results, time.Since(start)
}

func report(results []result, length time.Duration) {
	var micros []uint32
	errors := 0
	var last error
	for _, seen := range results {
		micros = append(micros, seen.micros...)
		errors += seen.errors
		if seen.last != nil {
			last = seen.last
		}
	}
	slices.Sort(micros)
	percentile := func(share float64) uint32 {
		if len(micros) == 0 {
			return 0
		}
		return micros[int(float64(len(micros)-1)*share)]
	}
	line, _ := json.Marshal(map[string]any{
		"requests": len(micros), "micros": length.Microseconds(), "errors": errors,
		"p50": percentile(0.5), "p99": percentile(0.99), "p999": percentile(0.999), "last": fmt.Sprint(last),
	})
	fmt.Printf("REPORT %s\n", line)
}
