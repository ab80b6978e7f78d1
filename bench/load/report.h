/*
 * What all load generators of the bench share: the clock, a histogram of exact microseconds, and the line that they
 * report at the end. The histogram's pages are only there once they are used.
 */
#ifndef REPORT_H
#define REPORT_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LONGEST_MICROS = 10000000 };

static uint32_t histogram[LONGEST_MICROS + 1];
static uint64_t recorded;

static inline int64_t now_nanos(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void record(int64_t nanos) {
  int64_t micros = nanos / 1000;
  histogram[micros < 0 ? 0 : micros > LONGEST_MICROS ? LONGEST_MICROS : micros]++;
  recorded++;
}

static inline uint64_t percentile(double share) {
  uint64_t left = (uint64_t)((double)recorded * share);
  for (uint64_t micros = 0; micros <= LONGEST_MICROS; micros++) {
    if (histogram[micros] > left) return micros;
    left -= histogram[micros];
  }
  return LONGEST_MICROS;
}

/* `operations` may be other than what was timed: bytes are not. `more` is further members of the JSON object. */
static inline void report(double operations, int64_t nanos, uint64_t errors, const char *more) {
  printf("REPORT {\"requests\":%.3f,\"micros\":%lld,\"p50\":%llu,\"p99\":%llu,\"p999\":%llu,\"errors\":%llu%s}\n", operations,
         (long long)(nanos / 1000), (unsigned long long)(recorded ? percentile(0.5) : 0),
         (unsigned long long)(recorded ? percentile(0.99) : 0), (unsigned long long)(recorded ? percentile(0.999) : 0),
         (unsigned long long)errors, more);
}
#endif
