# An operator made of Perl's Net::SMPP: strict about the protocol, one thing at a time. It answers each
# submit, sends its receipt and waits for the acknowledgement before it reads on.
# Prints its port, then one line for each submit and each acknowledged receipt.
use strict;
use warnings;
use Net::SMPP;

$| = 1;
my $listener = Net::SMPP->new_listen('127.0.0.1', port => 0, smpp_version => 0x34,
                                     interface_version => 0x34)
    or die "cannot listen: $!";
print $listener->sockport, "\n";

my $session = $listener->accept or die "nobody came";
my $number = 0xABCD0;
my @waiting;

sub deliver {
    my ($submit, $id) = @_;
    my $text = sprintf 'id:%010d sub:001 dlvrd:000 submit date:2601011200 '
        . 'done date:2601011201 stat:UNDELIV err:006 Text:none', $id;
    my $sequence = $session->deliver_sm(
        async => 1,
        source_addr_ton => 1, source_addr_npi => 1,
        source_addr => $submit->{destination_addr},
        destination_addr => $submit->{source_addr},
        esm_class => 4, short_message => $text,
    ) or die 'deliver_sm failed';
}

while (my $pdu = $session->read_pdu) {
    my $cmd = $pdu->{cmd};
    if ($cmd == Net::SMPP::CMD_bind_transceiver) {
        print "bind $pdu->{system_id} $pdu->{interface_version}\n";
        $session->bind_transceiver_resp(system_id => 'perl', seq => $pdu->{seq}, status => 0);
    } elsif ($cmd == Net::SMPP::CMD_submit_sm) {
        my $id = $number++;
        printf "submit %s %s %d %s\n", $pdu->{source_addr}, $pdu->{destination_addr},
            $pdu->{data_coding}, unpack 'H*', $pdu->{short_message};
        $session->submit_sm_resp(message_id => sprintf('%X', $id), seq => $pdu->{seq},
                                 status => 0);
        deliver($pdu, $id);
    } elsif ($cmd == Net::SMPP::CMD_deliver_sm_resp) {
        print "receipt $pdu->{status}\n";
    } elsif ($cmd == Net::SMPP::CMD_enquire_link) {
        $session->enquire_link_resp(seq => $pdu->{seq}, status => 0);
    } elsif ($cmd == Net::SMPP::CMD_unbind) {
        print "unbind\n";
        $session->unbind_resp(seq => $pdu->{seq}, status => 0);
        last;
    } else {
        printf "unexpected %x\n", $cmd;
    }
}
