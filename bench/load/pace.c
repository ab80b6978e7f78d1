/*
 * HTTP/1.1 at a constant rate, an open loop: one thread, epoll. A request's time runs from when it was due, so a
 * proxy that stalls does not hide the requests that it kept from being sent.
 *
 *   pace PORT HOST PATH RATE CONNECTIONS WAITING SECONDS BODY_BYTES KEEP TICK
 *
 * Opens connections as it needs them, up to CONNECTIONS. A request that is due while all are busy waits if fewer than
 * WAITING do, else it is given up ("unsent"). BODY_BYTES other than 0 sends a POST. KEEP 0 closes after each answer.
 * TICK is in microseconds. 0 wakes up for each request and each answer. Otherwise both are looked after once a tick:
 * that spares the core that the application shares, at the price of times that are up to a tick too long.
 * "requests" are answers of 2xx, and only they are timed.
 */
#define _GNU_SOURCE
#include "report.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, HEAD = 8192, CHUNK = 262144 };

struct connection {
  int fd; /* -1: not open */
  int connected, busy;
  int64_t due;
  size_t filled, written;
  long long body_left; /* -1: the head is not whole yet */
  int status, closing;
  char head[HEAD];
};

static int poller;
static uint16_t port;
static char *request;
static size_t request_length;
static int keep;
static struct connection *all, **idle;
static size_t connections, idle_count;
static int64_t *waiting;
static size_t waiting_limit, waiting_first, waiting_count;
static uint64_t ok, unavailable, other, broken, unsent, offered;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void watch(struct connection *connection, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(poller, operation, connection->fd, &event) < 0) fail("epoll_ctl");
}

static void close_connection(struct connection *connection) {
  struct linger at_once = {.l_onoff = 1, .l_linger = 0}; /* TIME_WAIT would use up the ports. */
  setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(connection->fd);
  connection->fd = -1;
}

static void finish(struct connection *connection) {
  connection->busy = 0;
  idle[idle_count++] = connection;
}

static void break_off(struct connection *connection) {
  close_connection(connection);
  if (!connection->busy) return; /* A kept connection that the proxy closed: it stays among the idle. */
  broken++;
  finish(connection);
}

static void open_connection(struct connection *connection) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
  if (fd < 0) fail("socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  connection->fd = fd;
  connection->connected = 0;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) fail("connect");
  watch(connection, EPOLLOUT, EPOLL_CTL_ADD);
}

/* 1: sent whole, 0: the socket is full, -1: broken */
static int write_request(struct connection *connection) {
  while (connection->written < request_length) {
    ssize_t n = send(connection->fd, request + connection->written, request_length - connection->written, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    connection->written += (size_t)n;
  }
  return 1;
}

static void begin(struct connection *connection, int64_t due) {
  connection->busy = 1;
  connection->due = due;
  connection->filled = connection->written = 0;
  connection->body_left = -1;
  if (connection->fd < 0) {
    open_connection(connection);
    return;
  }
  if (!connection->connected) return;
  int sent = write_request(connection);
  if (sent < 0) break_off(connection);
  if (sent == 0) watch(connection, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

static void arrive(int64_t due) {
  offered++;
  if (idle_count > 0) {
    begin(idle[--idle_count], due);
  } else if (waiting_count < waiting_limit) {
    waiting[(waiting_first + waiting_count++) % waiting_limit] = due;
  } else {
    unsent++;
  }
}

static void complete(struct connection *connection) {
  if (connection->status / 100 == 2) {
    ok++;
    record(now_nanos() - connection->due);
  } else if (connection->status == 503) {
    unavailable++;
  } else {
    other++;
  }
  if (connection->closing || !keep) close_connection(connection);
  finish(connection);
  if (waiting_count == 0) return;
  int64_t due = waiting[waiting_first];
  waiting_first = (waiting_first + 1) % waiting_limit;
  waiting_count--;
  begin(idle[--idle_count], due);
}

/* Reads the head's end, status and length. 1: read, 0: not whole, -1: not to be understood */
static int take_head(struct connection *connection) {
  char *end = memmem(connection->head, connection->filled, "\r\n\r\n", 4);
  if (end == NULL) return connection->filled >= HEAD - 1 ? -1 : 0;
  *end = '\0';
  if (strncmp(connection->head, "HTTP/1.1 ", 9) != 0) return -1;
  connection->status = atoi(connection->head + 9);
  char *length = strcasestr(connection->head, "\r\ncontent-length:");
  if (length == NULL) return -1;
  connection->closing = strcasestr(connection->head, "\r\nconnection: close") != NULL;
  connection->body_left = atoll(length + 17) - (connection->head + connection->filled - (end + 4));
  return 1;
}

static void take(struct connection *connection) {
  static char rest[CHUNK];
  int in_head = connection->body_left < 0;
  char *into = in_head ? connection->head + connection->filled : rest;
  ssize_t n = read(connection->fd, into, in_head ? HEAD - 1 - connection->filled : CHUNK);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0 || !connection->busy) {
    break_off(connection);
    return;
  }
  if (in_head) {
    connection->filled += (size_t)n;
    int taken = take_head(connection);
    if (taken < 0) break_off(connection);
    if (taken <= 0) return;
  } else {
    connection->body_left -= n;
  }
  if (connection->body_left == 0) complete(connection);
  else if (connection->body_left < 0) break_off(connection);
}

static void work(struct connection *connection, uint32_t events) {
  if (connection->fd < 0) return;
  if ((events & EPOLLOUT) != 0) {
    connection->connected = 1;
    int sent = connection->busy ? write_request(connection) : 1;
    if (sent < 0) {
      break_off(connection);
      return;
    }
    if (sent == 1) watch(connection, EPOLLIN, EPOLL_CTL_MOD);
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) take(connection);
}

static void make_request(const char *host, const char *path, size_t body) {
  char head[1024], length[64] = "";
  if (body > 0) snprintf(length, sizeof length, "Content-Length: %zu\r\n", body);
  int filled = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: pace\r\nAccept: */*\r\n%s%s\r\n",
                        body > 0 ? "POST" : "GET", path, host, length, keep ? "" : "Connection: close\r\n");
  request_length = (size_t)filled + body;
  request = malloc(request_length);
  if (request == NULL) fail("malloc");
  memcpy(request, head, (size_t)filled);
  memset(request + filled, 'x', body);
}

/* Waits for at most so long, and works on what is ready. 1: there may be more */
static int wait_for(int64_t nanos) {
  static struct epoll_event events[EVENTS];
  struct timespec timeout = {.tv_sec = nanos / 1000000000, .tv_nsec = nanos % 1000000000};
  int ready = epoll_pwait2(poller, events, EVENTS, &timeout, NULL);
  for (int i = 0; i < ready; i++) work(events[i].data.ptr, events[i].events);
  return ready == EVENTS;
}

static void sleep_until(int64_t then) {
  struct timespec time = {.tv_sec = then / 1000000000, .tv_nsec = then % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) continue;
}

int main(int count, char **arguments) {
  if (count != 11) fail("usage: pace PORT HOST PATH RATE CONNECTIONS WAITING SECONDS BODY_BYTES KEEP TICK");
  port = (uint16_t)atoi(arguments[1]);
  double interval = 1e9 / atof(arguments[4]);
  connections = (size_t)atoi(arguments[5]);
  waiting_limit = (size_t)atoi(arguments[6]);
  keep = atoi(arguments[9]);
  int64_t tick = atoll(arguments[10]) * 1000;
  make_request(arguments[2], arguments[3], (size_t)atoi(arguments[8]));
  prctl(PR_SET_TIMERSLACK, 1); /* 50 us by default, which would count as the proxy's. */
  poller = epoll_create1(EPOLL_CLOEXEC);
  all = calloc(connections, sizeof *all);
  idle = calloc(connections, sizeof *idle);
  waiting = calloc(waiting_limit + 1, sizeof *waiting);
  if (all == NULL || idle == NULL || waiting == NULL) fail("calloc");
  for (size_t i = 0; i < connections; i++) {
    all[i].fd = -1;
    idle[i] = &all[connections - 1 - i];
  }
  idle_count = connections;
  int64_t start = now_nanos(), end = start + (int64_t)(atof(arguments[7]) * 1e9);
  double due = (double)start;
  for (int64_t now = start; now < end; now = now_nanos()) {
    for (; (int64_t)due <= now; due += interval) arrive((int64_t)due);
    if (tick > 0) {
      sleep_until(now + tick);
      while (wait_for(0)) continue;
    } else {
      wait_for((int64_t)due > now ? (int64_t)due - now : 0);
    }
  }
  char more[256];
  snprintf(more, sizeof more, ",\"offered\":%llu,\"unavailable\":%llu,\"other\":%llu,\"unsent\":%llu",
           (unsigned long long)offered, (unsigned long long)unavailable, (unsigned long long)other,
           (unsigned long long)unsent);
  report((double)ok, now_nanos() - start, broken + other, more);
}
