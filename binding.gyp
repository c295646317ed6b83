{
  "variables": { "sanitize%": "" },
  "targets": [
    {
      "target_name": "causeway",
      "sources": [
        "native/addon.cc",
        "native/addon-cryptography.cc",
        "native/aead.cc",
        "native/chacha20-poly1305.cc",
        "native/checksum.cc",
        "native/coalesce.cc",
        "native/netlink.cc",
        "native/noise.cc",
        "native/poll.cc",
        "native/split.cc",
        "native/tun.cc",
        "native/udp.cc",
        "native/unix-datagram.cc"
      ],
      "defines": ["NAPI_VERSION=9"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": ["-std=c++20", "-fexceptions", "-fvisibility=hidden", "-O3", "-Wall", "-Wextra", "-Werror"],
      "conditions": [
        ["sanitize=='yes'", {
          "cflags_cc": ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined", "-O1", "-g"],
          "ldflags": ["-fsanitize=address,undefined"]
        }]
      ]
    }
  ]
}
