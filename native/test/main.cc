#include <unistd.h>

#include "check.h"

namespace causeway::test {

namespace {

Test* first_test = nullptr;
const Test* current = nullptr;
uint64_t seed = 0;

uint64_t hash(const char* text) {
  uint64_t value = 0xcbf29ce484222325u;
  for (; *text != 0; text++) value = (value ^ static_cast<uint8_t>(*text)) * 0x100000001b3u;
  return value;
}

}  // namespace

Test::Test(const char* title, int count, void (*function)(Random&))
    : name(title), rounds(count), run(function), next(first_test) {
  first_test = this;
}

void fail(const char* file, int line, const char* format, ...) {
  std::fprintf(stderr, "%s:%d: ", file, line);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "\nagain with: native-tests --seed %llu %s\n",
               static_cast<unsigned long long>(seed), current->name);
  std::fflush(stdout);
  _exit(1);
}

static int run_tests(double scale, const uint64_t* only_seed, char** names, int count) {
  int passed = 0, skipped = 0;
  for (const Test* test = first_test; test != nullptr; test = test->next) {
    bool wanted = count == 0;
    for (int i = 0; i < count; i++) wanted = wanted || std::strcmp(names[i], test->name) == 0;
    if (!wanted) continue;
    current = test;
    const int rounds = only_seed || test->rounds == 1 ? 1 : 1 + static_cast<int>(test->rounds * scale);
    try {
      for (int round = 0; round < rounds; round++) {
        seed = only_seed ? *only_seed : hash(test->name) + static_cast<uint64_t>(round);
        Random random(seed);
        test->run(random);
      }
      std::printf("ok   %s\n", test->name);
      passed++;
    } catch (const Skip& skip) {
      std::printf("skip %s: %s\n", test->name, skip.reason);
      skipped++;
    }
    std::fflush(stdout);
  }
  std::printf("%d passed, 0 failed, %d skipped\n", passed, skipped);
  return passed > 0 ? 0 : 1;
}

}  // namespace causeway::test

int main(int count, char** arguments) {
  double scale = 1;
  uint64_t seed = 0;
  bool seeded = false;
  int at = 1;
  for (; at + 1 < count && arguments[at][0] == '-'; at += 2) {
    if (std::strcmp(arguments[at], "--scale") == 0) scale = std::strtod(arguments[at + 1], nullptr);
    if (std::strcmp(arguments[at], "--seed") == 0) {
      seed = std::strtoull(arguments[at + 1], nullptr, 10);
      seeded = true;
    }
  }
  return causeway::test::run_tests(scale, seeded ? &seed : nullptr, arguments + at, count - at);
}
