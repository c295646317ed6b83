// The little that these tests need of a test framework: checks that say where and with what seed they
// failed, numbers that are random but repeatable, and tests that register themselves.
//
//   native-tests [--scale F] [--seed N] [NAME...]
//
// A test is run in rounds; each round has its own seed, which a failure prints. `--seed` runs one
// round with it. `--scale` multiplies the number of rounds. The last line counts the tests.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace causeway::test {

using Bytes = std::vector<uint8_t>;

// SplitMix64: every seed is as good as another.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // Below `limit`, which is above 0.
  size_t below(size_t limit) { return static_cast<size_t>(next() % limit); }
  // Both ends included.
  size_t between(size_t low, size_t high) { return low + below(high - low + 1); }
  bool one_in(size_t n) { return below(n) == 0; }
  bool coin() { return one_in(2); }
  uint8_t byte() { return static_cast<uint8_t>(next()); }
  uint16_t word() { return static_cast<uint16_t>(next()); }
  void fill(uint8_t* to, size_t size) {
    for (size_t i = 0; i < size; i++) to[i] = byte();
  }
  Bytes bytes(size_t size) {
    Bytes made(size);
    fill(made.data(), size);
    return made;
  }
  template <typename T, size_t N>
  T of(const T (&values)[N]) {
    return values[below(N)];
  }

 private:
  uint64_t state_;
};

// A test that throws this cannot run here.
struct Skip {
  const char* reason;
};

struct Test {
  const char* name;
  int rounds;
  void (*run)(Random&);
  Test* next;
  Test(const char* title, int count, void (*function)(Random&));
};

[[noreturn]] void fail(const char* file, int line, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

}  // namespace causeway::test

#define CAUSEWAY_TEST(name, rounds)                                                 \
  static void test_##name(::causeway::test::Random& random);                        \
  static ::causeway::test::Test registered_##name{#name, rounds, test_##name};      \
  static void test_##name([[maybe_unused]] ::causeway::test::Random& random)

#define CHECK(condition)                                                            \
  do {                                                                              \
    if (!(condition)) ::causeway::test::fail(__FILE__, __LINE__, "%s", #condition); \
  } while (false)

// Both sides as signed numbers, so that a failure shows them.
#define CHECK_EQUAL(actual, wanted)                                                      \
  do {                                                                                   \
    const long long a_ = static_cast<long long>(actual);                                 \
    const long long w_ = static_cast<long long>(wanted);                                 \
    if (a_ != w_) {                                                                      \
      ::causeway::test::fail(__FILE__, __LINE__, "%s is %lld, not %lld", #actual, a_, w_); \
    }                                                                                    \
  } while (false)
