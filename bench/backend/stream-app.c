/*
 * The application behind the scenarios that are no requests and answers: one thread, epoll. The first byte that a
 * client sends says what it is there for.
 *
 *   'S'  source: bytes without end, as fast as the client takes them
 *   'E'  echo: every byte comes back, the first too
 *   'G'  a WebSocket handshake (RFC 6455 section 4), then every message comes back
 *
 * All clients of the bench send the same Sec-WebSocket-Key, that of RFC 6455 section 1.3, so the answer is a constant.
 * It prints "listening PORT" once it accepts, and ends when its standard input closes, so it cannot outlive the bench.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 16384, EVENTS = 256, CHUNK = 262144, MASKED_HEAD = 6 };
enum kind { NEW, SOURCE, ECHO, HANDSHAKE, MESSAGES };

static const char switched[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct connection {
  int fd;
  enum kind kind;
  size_t in_filled, out_filled;
  unsigned char in[ROOM], out[ROOM];
};

static int poller;
static char chunk[CHUNK];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void watch(struct connection *connection, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(poller, operation, connection->fd, &event) < 0) fail("epoll_ctl");
}

static void consume(struct connection *connection, size_t length) {
  connection->in_filled -= length;
  memmove(connection->in, connection->in + length, connection->in_filled);
}

static size_t put(struct connection *connection, const void *bytes, size_t length) {
  if (length > ROOM - connection->out_filled) return 0;
  memcpy(connection->out + connection->out_filled, bytes, length);
  connection->out_filled += length;
  return length;
}

/* Writes out what there is. -1: the client is gone */
static int flush(struct connection *connection) {
  if (connection->out_filled == 0) return 0;
  ssize_t n = send(connection->fd, connection->out, connection->out_filled, MSG_NOSIGNAL);
  if (n < 0) return errno == EAGAIN ? 0 : -1;
  connection->out_filled -= (size_t)n;
  memmove(connection->out, connection->out + n, connection->out_filled);
  return 0;
}

static int pour(struct connection *connection) {
  watch(connection, EPOLLOUT, EPOLL_CTL_MOD);
  ssize_t n = send(connection->fd, chunk, CHUNK, MSG_NOSIGNAL);
  return n < 0 && errno != EAGAIN ? -1 : 0;
}

static void take_handshake(struct connection *connection) {
  unsigned char *end = memmem(connection->in, connection->in_filled, "\r\n\r\n", 4);
  if (end == NULL) return;
  consume(connection, (size_t)(end + 4 - connection->in));
  put(connection, switched, sizeof switched - 1);
  connection->kind = MESSAGES;
}

/* Takes one short masked frame (RFC 6455 section 5.2) and puts it unmasked. 1: taken, 0: not whole, -1: not one */
static int take_message(struct connection *connection) {
  if (connection->in_filled < MASKED_HEAD) return 0;
  size_t length = connection->in[1] & 0x7f;
  if ((connection->in[1] & 0x80) == 0 || length > 125) return -1;
  if (connection->in_filled < MASKED_HEAD + length || ROOM - connection->out_filled < 2 + length) return 0;
  unsigned char *mask = connection->in + 2, *payload = connection->in + MASKED_HEAD;
  unsigned char head[2] = {connection->in[0], (unsigned char)length};
  put(connection, head, sizeof head);
  for (size_t i = 0; i < length; i++) payload[i] ^= mask[i & 3];
  put(connection, payload, length);
  consume(connection, MASKED_HEAD + length);
  return 1;
}

/* Does what the input asks for. -1: the connection is to be dropped */
static int work(struct connection *connection) {
  if (connection->kind == NEW) {
    unsigned char first = connection->in[0];
    connection->kind = first == 'S' ? SOURCE : first == 'E' ? ECHO : HANDSHAKE;
  }
  if (connection->kind == SOURCE) return pour(connection);
  if (connection->kind == ECHO) consume(connection, put(connection, connection->in, connection->in_filled));
  if (connection->kind == HANDSHAKE) take_handshake(connection);
  int taken = 1;
  while (connection->kind == MESSAGES && taken > 0) taken = take_message(connection);
  return taken < 0 ? -1 : flush(connection);
}

static int ready(struct connection *connection, uint32_t events) {
  if (connection->kind == SOURCE) return pour(connection);
  if ((events & EPOLLOUT) != 0 && flush(connection) < 0) return -1;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    ssize_t n = read(connection->fd, connection->in + connection->in_filled, ROOM - connection->in_filled);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) return -1;
    connection->in_filled += (size_t)n;
  }
  if (connection->in_filled > 0 && work(connection) < 0) return -1;
  if (connection->kind == SOURCE) return 0;
  /* Who does not take its echoes is not read from. */
  watch(connection, connection->out_filled > 0 ? EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
  return 0;
}

static void take_connection(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct connection *connection = malloc(sizeof *connection);
  if (connection == NULL) fail("malloc");
  connection->fd = fd;
  connection->kind = NEW;
  connection->in_filled = connection->out_filled = 0;
  watch(connection, EPOLLIN, EPOLL_CTL_ADD);
}

static int listen_anywhere(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0) fail("listen");
  if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) fail("getsockname");
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int main(void) {
  poller = epoll_create1(EPOLL_CLOEXEC);
  int listener = listen_anywhere();
  static struct connection listening, input;
  listening.fd = listener;
  input.fd = STDIN_FILENO;
  watch(&listening, EPOLLIN, EPOLL_CTL_ADD);
  watch(&input, EPOLLIN | EPOLLHUP, EPOLL_CTL_ADD);
  struct epoll_event events[EVENTS];
  for (;;) {
    int count = epoll_wait(poller, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      struct connection *connection = events[i].data.ptr;
      if (connection == &input) return 0;
      if (connection == &listening) {
        take_connection(listener);
        continue;
      }
      if (ready(connection, events[i].events) < 0) {
        close(connection->fd);
        free(connection);
      }
    }
  }
}
