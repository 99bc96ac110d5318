#pragma once
/// Which sanitizers this was compiled with, for tests that are slower, or need more memory, under them.

namespace ferry::test {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool k_checks_addresses = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool k_checks_addresses = true;
#else
inline constexpr bool k_checks_addresses = false;
#endif
#else
inline constexpr bool k_checks_addresses = false;
#endif

#if defined(__SANITIZE_THREAD__)
inline constexpr bool k_checks_threads = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool k_checks_threads = true;
#else
inline constexpr bool k_checks_threads = false;
#endif
#else
inline constexpr bool k_checks_threads = false;
#endif

}  // namespace ferry::test
