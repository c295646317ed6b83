// What every function of the addon needs to speak with JavaScript: arguments checked, values made,
// exceptions turned over.
#pragma once

#include <node_api.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <string>

namespace causeway {

struct Failure {};  // a JavaScript exception is pending

inline void require(napi_env env, bool condition, const char* what) {
  if (condition) return;
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_type_error(env, "ERR_ADDON_ARGUMENT", what);
  throw Failure{};
}

// Whether it is a whole number in a range. Not napi_get_value_int32, which makes 0 of NaN and wraps
// large numbers round: descriptor 0 or the handle of something else.
inline bool whole(napi_env env, napi_value value, double low, double high, double* found) {
  return napi_get_value_double(env, value, found) == napi_ok && *found >= low && *found <= high &&
         *found == std::trunc(*found);
}

template <size_t N>
struct Arguments {
  napi_env env;
  napi_value values[N] = {};
  size_t count = N;

  // What is missing behind the first `required` is undefined.
  Arguments(napi_env e, napi_callback_info info, size_t required = N) : env(e) {
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
    require(env, count >= required, "too few arguments");
  }
  int32_t integer(size_t i) const {
    double value = 0;
    require(env, whole(env, values[i], INT32_MIN, INT32_MAX, &value), "expected a 32-bit number");
    return static_cast<int32_t>(value);
  }
  uint32_t natural(size_t i) const {
    double value = 0;
    require(env, whole(env, values[i], 0, UINT32_MAX, &value),
            "expected a 32-bit number, not negative");
    return static_cast<uint32_t>(value);
  }
  bool boolean(size_t i) const {
    bool value = false;
    require(env, napi_get_value_bool(env, values[i], &value) == napi_ok, "expected a boolean");
    return value;
  }
  std::string text(size_t i) const {
    char buffer[256];
    size_t size = 0;
    require(env,
            napi_get_value_string_utf8(env, values[i], buffer, sizeof buffer, &size) == napi_ok,
            "expected a string");
    require(env, std::memchr(buffer, 0, size) == nullptr, "a string with a zero in it");
    return std::string(buffer, size);
  }
  struct Bytes {
    uint8_t* data;
    size_t size;
  };
  Bytes bytes(size_t i) const {
    bool typed = false;
    napi_is_typedarray(env, values[i], &typed);
    require(env, typed, "expected a typed array");
    napi_typedarray_type type;
    size_t length = 0, offset = 0;
    void* data = nullptr;
    napi_value buffer;
    require(env,
            napi_get_typedarray_info(env, values[i], &type, &length, &data, &buffer, &offset) ==
                    napi_ok &&
                (data != nullptr || length == 0),
            "expected a typed array");
    size_t width = 1;
    if (type == napi_int16_array || type == napi_uint16_array) width = 2;
    if (type == napi_int32_array || type == napi_uint32_array || type == napi_float32_array) width = 4;
    if (type == napi_float64_array || type == napi_bigint64_array || type == napi_biguint64_array) {
      width = 8;
    }
    return {static_cast<uint8_t*>(data), length * width};
  }
  Bytes bytes_of(size_t i, size_t size) const {
    const Bytes found = bytes(i);
    require(env, found.size == size, "a typed array of the wrong length");
    return found;
  }
  const uint8_t* key(size_t i) const { return bytes_of(i, 32).data; }
};

inline napi_value number(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

inline napi_value boolean(napi_env env, bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env, value, &result);
  return result;
}

inline napi_value undefined(napi_env env) {
  napi_value result = nullptr;
  napi_get_undefined(env, &result);
  return result;
}

inline void set(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

// ---- registration --------------------------------------------------------------------------------

template <napi_value (*function)(napi_env, napi_callback_info)>
napi_value guarded(napi_env env, napi_callback_info info) {
  try {
    return function(env, info);
  } catch (const Failure&) {
    return nullptr;
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, "ERR_ADDON_MEMORY", "no memory");
    return nullptr;
  } catch (const std::exception& error) {
    napi_throw_error(env, "ERR_ADDON_FAILURE", error.what());
    return nullptr;
  }
}

template <napi_value (*function)(napi_env, napi_callback_info)>
void add(napi_env env, napi_value exports, const char* name) {
  napi_value value = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, guarded<function>, nullptr, &value);
  set(env, exports, name, value);
}

}  // namespace causeway
