/*
 * The application behind every proxy of the bench: one thread, epoll, replies made before the first request.
 * It has to cost less than any proxy, or the bench would measure it instead.
 *
 *   GET  /bytes/N   a body of N bytes, for the three sizes the bench asks for; segments before it do not matter
 *   POST anything   100 bytes, sent after the whole request body was read
 *
 * It prints "listening PORT" once it accepts, and ends when its standard input closes, so it cannot outlive the bench.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT = 65536, EVENTS = 256 };

struct reply {
  size_t body;
  char *bytes;
  size_t length;
};

static struct reply replies[] = {{100, NULL, 0}, {16384, NULL, 0}, {1048576, NULL, 0}};
static struct reply refusal;
static const size_t reply_count = sizeof replies / sizeof replies[0];

struct connection {
  int fd;
  size_t filled;
  size_t body_left;
  const struct reply *after_body;
  const struct reply *writing;
  size_t written;
  char input[INPUT];
};

static int poller;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void prepare(struct reply *reply, const char *status) {
  char head[256];
  int head_length = snprintf(head, sizeof head,
                             "HTTP/1.1 %s\r\nServer: app\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                             "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
                             status, reply->body);
  reply->length = (size_t)head_length + reply->body;
  reply->bytes = malloc(reply->length);
  if (reply->bytes == NULL) fail("malloc");
  memcpy(reply->bytes, head, (size_t)head_length);
  memset(reply->bytes + head_length, 'x', reply->body);
}

static const struct reply *choose(const char *head) {
  if (strncmp(head, "POST ", 5) == 0) return &replies[0];
  char *line_end = strchr(head, '\r');
  const char *path = line_end == NULL ? NULL : memmem(head, (size_t)(line_end - head), "/bytes/", 7);
  if (path == NULL) return &refusal;
  size_t wanted = strtoul(path + 7, NULL, 10);
  for (size_t i = 0; i < reply_count; i++)
    if (replies[i].body == wanted) return &replies[i];
  return &refusal;
}

static void watch(struct connection *connection, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(poller, operation, connection->fd, &event) < 0) fail("epoll_ctl");
}

static void drop(struct connection *connection) {
  close(connection->fd);
  free(connection);
}

/* 1: written whole, 0: the socket is full, -1: the peer is gone */
static int flush(struct connection *connection) {
  const struct reply *reply = connection->writing;
  while (connection->written < reply->length) {
    ssize_t n =
        send(connection->fd, reply->bytes + connection->written, reply->length - connection->written, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    connection->written += (size_t)n;
  }
  connection->writing = NULL;
  return 1;
}

static int answer(struct connection *connection, const struct reply *reply) {
  connection->writing = reply;
  connection->written = 0;
  int result = flush(connection);
  if (result == 0) watch(connection, EPOLLOUT, EPOLL_CTL_MOD);
  return result;
}

/* Takes one head off the input. 1: taken, 0: not whole yet, -1: not to be understood */
static int take_head(struct connection *connection) {
  char *end = memmem(connection->input, connection->filled, "\r\n\r\n", 4);
  if (end == NULL) return connection->filled == INPUT ? -1 : 0;
  *end = '\0';
  if (strcasestr(connection->input, "\r\ntransfer-encoding:") != NULL) return -1;
  const char *length = strcasestr(connection->input, "\r\ncontent-length:");
  connection->body_left = length == NULL ? 0 : strtoul(length + 17, NULL, 10);
  connection->after_body = choose(connection->input);
  size_t head = (size_t)(end + 4 - connection->input);
  connection->filled -= head;
  memmove(connection->input, end + 4, connection->filled);
  return 1;
}

static void skip_body(struct connection *connection) {
  size_t taken = connection->filled < connection->body_left ? connection->filled : connection->body_left;
  connection->body_left -= taken;
  connection->filled -= taken;
  memmove(connection->input, connection->input + taken, connection->filled);
}

/* Answers all that the input holds whole. -1: the connection is to be dropped */
static int work(struct connection *connection) {
  while (connection->writing == NULL) {
    if (connection->after_body == NULL) {
      int taken = take_head(connection);
      if (taken <= 0) return taken;
    }
    skip_body(connection);
    if (connection->body_left > 0) return 0;
    const struct reply *reply = connection->after_body;
    connection->after_body = NULL;
    if (answer(connection, reply) < 0) return -1;
  }
  return 0;
}

static int readable(struct connection *connection) {
  ssize_t n = read(connection->fd, connection->input + connection->filled, INPUT - connection->filled);
  if (n < 0 && errno == EAGAIN) return 0;
  if (n <= 0) return -1;
  connection->filled += (size_t)n;
  return work(connection);
}

static int writable(struct connection *connection) {
  int result = flush(connection);
  if (result <= 0) return result;
  watch(connection, EPOLLIN, EPOLL_CTL_MOD);
  return work(connection);
}

static void take_connection(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL) fail("calloc");
  connection->fd = fd;
  watch(connection, EPOLLIN, EPOLL_CTL_ADD);
}

static int listen_anywhere(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 1024) < 0) fail("listen");
  if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) fail("getsockname");
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int main(void) {
  for (size_t i = 0; i < reply_count; i++) prepare(&replies[i], "200 OK");
  prepare(&refusal, "404 Not Found");
  poller = epoll_create1(EPOLL_CLOEXEC);
  int listener = listen_anywhere();
  struct connection listening = {.fd = listener}, input = {.fd = STDIN_FILENO};
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
      int result = (events[i].events & EPOLLOUT) != 0 ? writable(connection) : readable(connection);
      if (result < 0) drop(connection);
    }
  }
}
