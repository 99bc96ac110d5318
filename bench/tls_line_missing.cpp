// In place of tls_line.cpp in a build without TLS.
#include "bench/tls_line.hpp"

namespace ferry::bench {

struct tls_line::parts {};

bool tls_line::available() noexcept { return false; }
tls_line::tls_line(child&, int, bool) {}
tls_line::~tls_line() = default;
void tls_line::write_all(const std::byte*, std::size_t) noexcept {}
std::size_t tls_line::read_some(std::byte*, std::size_t) noexcept { return 0; }
void tls_line::end() noexcept {}

bool write_certificate(const std::string&) { return false; }

}  // namespace ferry::bench
