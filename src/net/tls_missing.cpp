// In place of the other files of TLS where the library is built without it.
#include <ferry/context.hpp>

#include "net/posted_attempt.hpp"
#include "net/transports.hpp"

namespace ferry::net {
namespace {

error missing() { return {errc::unsupported, "tls: this library was built without TLS; build it with FERRY_TLS=ON"}; }

class missing_transport final : public stream_transport {
 public:
  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context&, const endpoint&, const options&) override {
    return missing();
  }
  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context& where, const endpoint&, const options&,
                                                         connect_handler done) override {
    return std::make_unique<posted_attempt>(where.io(), missing(), std::move(done));
  }
};

}  // namespace

result<void> check_tls_files(const options&) { return missing(); }

std::shared_ptr<stream_transport> make_tls_transport(std::shared_ptr<stream_transport>) {
  return std::make_shared<missing_transport>();
}

}  // namespace ferry::net
