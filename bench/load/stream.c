/*
 * Load that is no requests and answers: one thread, epoll, a closed loop over N connections to 127.0.0.1.
 *
 *   stream drain PORT CONNECTIONS SECONDS      takes bytes from a source; counts MB (10^6)
 *   stream connect PORT CONNECTIONS SECONDS    connects, sends a byte, takes its echo, closes; again and again
 *   stream websocket PORT CONNECTIONS SECONDS  one message of 32 bytes under way on each connection
 *
 * The WebSocket mask is zero, which RFC 6455 section 5.3 forbids to real clients: it only spares this one the work.
 */
#define _GNU_SOURCE
#include "report.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, MESSAGE = 32, FRAME = 6 + MESSAGE, ECHOED = 2 + MESSAGE, HEAD = 1024, CHUNK = 262144 };

struct connection {
  int fd;
  int open; /* the WebSocket handshake is through */
  int64_t since;
  size_t filled;
  char head[HEAD];
};

struct mode {
  const char *name;
  const char *first;
  size_t first_length;
  /* What came is in `bytes`. -1: something is wrong */
  int (*take)(struct connection *, const char *bytes, size_t length);
};

static const char handshake[] = "GET / HTTP/1.1\r\nHost: app.bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static int poller;
static uint16_t port;
static double operations;
static uint64_t errors;
static const struct mode *mode;
static char frame[FRAME] = {(char)0x82, (char)(0x80 | MESSAGE)};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void say(struct connection *connection, const char *bytes, size_t length) {
  connection->since = now_nanos();
  if (send(connection->fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) errors++;
}

static void open_connection(struct connection *connection) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
  if (fd < 0) fail("socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  *connection = (struct connection){.fd = fd, .since = now_nanos()};
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) fail("connect");
  struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
}

static void close_connection(struct connection *connection) {
  /* A reset instead of a wait in TIME_WAIT, which would use up the ports. */
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(connection->fd);
}

static int drain(struct connection *connection, const char *bytes, size_t length) {
  (void)connection, (void)bytes;
  operations += (double)length / 1e6;
  return 0;
}

static int echo_once(struct connection *connection, const char *bytes, size_t length) {
  if (length != 1 || bytes[0] != 'E') return -1;
  record(now_nanos() - connection->since);
  operations++;
  close_connection(connection);
  open_connection(connection);
  return 0;
}

static int take_message(struct connection *connection, const char *bytes, size_t length) {
  if (connection->filled + length > HEAD) return -1;
  memcpy(connection->head + connection->filled, bytes, length);
  connection->filled += length;
  if (!connection->open) {
    if (memmem(connection->head, connection->filled, "\r\n\r\n", 4) == NULL) return 0;
    if (memcmp(connection->head, "HTTP/1.1 101", 12) != 0) return -1;
    connection->open = 1;
  } else {
    if (connection->filled < ECHOED) return 0;
    if (connection->filled > ECHOED || memcmp(connection->head + 2, frame + 6, MESSAGE) != 0) return -1;
    record(now_nanos() - connection->since);
    operations++;
  }
  connection->filled = 0;
  say(connection, frame, FRAME);
  return 0;
}

static const struct mode modes[] = {
    {"drain", "S", 1, drain},
    {"connect", "E", 1, echo_once},
    {"websocket", handshake, sizeof handshake - 1, take_message},
};

static void work(struct connection *connection, uint32_t events) {
  static char bytes[CHUNK];
  if ((events & EPOLLOUT) != 0) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event);
    int64_t since = connection->since;
    say(connection, mode->first, mode->first_length);
    connection->since = since; /* Connecting counts. */
    return;
  }
  ssize_t n = read(connection->fd, bytes, CHUNK);
  if (n < 0 && errno == EAGAIN) return;
  if (n > 0 && mode->take(connection, bytes, (size_t)n) == 0) return;
  errors++;
  close_connection(connection);
  open_connection(connection);
}

int main(int count, char **arguments) {
  if (count != 5) fail("usage: stream MODE PORT CONNECTIONS SECONDS");
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
    if (strcmp(arguments[1], modes[i].name) == 0) mode = &modes[i];
  if (mode == NULL) fail("mode");
  port = (uint16_t)atoi(arguments[2]);
  size_t connections = (size_t)atoi(arguments[3]);
  memset(frame + 6, 'x', MESSAGE);
  poller = epoll_create1(EPOLL_CLOEXEC);
  struct connection *all = calloc(connections, sizeof *all);
  if (all == NULL) fail("calloc");
  int64_t start = now_nanos(), end = start + (int64_t)(atof(arguments[4]) * 1e9);
  for (size_t i = 0; i < connections; i++) open_connection(&all[i]);
  struct epoll_event events[EVENTS];
  while (now_nanos() < end && errors < 100000) {
    int ready = epoll_wait(poller, events, EVENTS, 100);
    for (int i = 0; i < ready; i++) work(events[i].data.ptr, events[i].events);
  }
  report(operations, now_nanos() - start, errors, "");
  for (size_t i = 0; i < connections; i++) close_connection(&all[i]);
}
