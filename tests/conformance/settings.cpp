// Which transports, framings and ways of sending the suite runs over.
#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

constexpr setting k_settings[] = {
    {"inproc", framing_kind::automatic, senders_kind::one},
    {"inproc", framing_kind::varint, senders_kind::many},
    {"inproc", framing_kind::u32, senders_kind::one},
    {"ipc", framing_kind::varint, senders_kind::one},
    {"ipc", framing_kind::typed, senders_kind::many},
    {"ipc", framing_kind::u32, senders_kind::one},
    {"abstract", framing_kind::varint, senders_kind::many},
    {"abstract", framing_kind::typed, senders_kind::one},
    {"tcp4", framing_kind::varint, senders_kind::one},
    {"tcp4", framing_kind::typed, senders_kind::one},
    {"tcp4", framing_kind::u32, senders_kind::many},
    {"tcp6", framing_kind::varint, senders_kind::many},
    {"tcp6", framing_kind::typed, senders_kind::one},
    {"localhost", framing_kind::automatic, senders_kind::one},
    {"tls4", framing_kind::varint, senders_kind::one},
    {"tls4", framing_kind::u32, senders_kind::many},
    {"tls4", framing_kind::typed, senders_kind::one},
    {"ws4", framing_kind::automatic, senders_kind::one},
    {"ws4", framing_kind::automatic, senders_kind::many},
    {"wss4", framing_kind::automatic, senders_kind::one},
    {"wsraw4", framing_kind::automatic, senders_kind::one},
    {"wssraw4", framing_kind::automatic, senders_kind::many},
    {"wsipc", framing_kind::automatic, senders_kind::one},
    {"faulty_ws", framing_kind::automatic, senders_kind::one},
    {"faulty", framing_kind::varint, senders_kind::one},
    {"faulty", framing_kind::u32, senders_kind::many},
    {"faulty", framing_kind::typed, senders_kind::one},
    {"faulty_tls", framing_kind::varint, senders_kind::one},
    {"captured", framing_kind::varint, senders_kind::one},
    {"captured_faulty", framing_kind::typed, senders_kind::one},
    {"shm", framing_kind::automatic, senders_kind::one},
    {"shm", framing_kind::automatic, senders_kind::many},
    {"shm_small", framing_kind::automatic, senders_kind::one},
    {"shm_copy", framing_kind::automatic, senders_kind::many},
    {"session_shm", framing_kind::automatic, senders_kind::one},
    {"session_shm", framing_kind::automatic, senders_kind::many},
    {"session_ipc", framing_kind::automatic, senders_kind::one},
    {"session_tcp4", framing_kind::automatic, senders_kind::many},
    {"session_tls4", framing_kind::automatic, senders_kind::one},
    {"session_faulty", framing_kind::automatic, senders_kind::one},
    {"tcpshm_tcp4", framing_kind::automatic, senders_kind::one},
    {"tcpshm_shm", framing_kind::automatic, senders_kind::one},
};

INSTANTIATE_TEST_SUITE_P(every, transport, ::testing::ValuesIn(k_settings),
                         [](const auto& one) { return name_of(one.param); });

}  // namespace
}  // namespace ferry::test
