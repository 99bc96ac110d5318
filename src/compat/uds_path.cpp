#include "compat/uds_path.hpp"

#include "os/socket.hpp"

namespace ferry::compat {

endpoint uds_endpoint(const std::string& path) {
  if (const auto address = os::unix_address(path); !address)
    throw failure(address.error().reason(), 0, address.error().text());
  endpoint made;
  made.scheme = "ipc";
  made.path = path;
  return made;
}

void require(const options& all) {
  if (const auto problem = check_options(all)) throw failure(errc::bad_option, 0, problem->text);
}

void require(bool holds, const std::string& text) {
  if (!holds) throw failure(errc::bad_option, 0, text);
}

}  // namespace ferry::compat
