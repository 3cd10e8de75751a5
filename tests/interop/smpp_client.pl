# A client made of Perl's Net::SMPP: binds, sends, takes receipts, asks and cancels. Prints lines of
# "kind name value ...".
use strict;
use warnings;
use Net::SMPP;

$| = 1;
my ($port, $login, $password) = @ARGV;
my ($session, $answer) = Net::SMPP->new_transceiver('127.0.0.1', port => $port,
    system_id => $login, password => $password, smpp_version => 0x34, interface_version => 0x34)
    or die "cannot connect: $!";
print "bound $answer->{status} $answer->{system_id}\n";
my %receipts;
my $count = 0;

sub take {
    my ($pdu) = @_;
    if ($pdu->{cmd} == Net::SMPP::CMD_deliver_sm) {
        my ($id) = $pdu->{short_message} =~ /^id:(\S+)/;
        my ($stat) = $pdu->{short_message} =~ /stat:(\S+)/;
        print "receipt $id $stat $pdu->{esm_class}\n";
        $receipts{$id} = 1;
        $count++;
        $session->deliver_sm_resp(message_id => '', seq => $pdu->{seq}, status => 0);
    } elsif ($pdu->{cmd} == Net::SMPP::CMD_enquire_link) {
        $session->enquire_link_resp(seq => $pdu->{seq}, status => 0);
    }
}

sub ask {
    my ($method, %fields) = @_;
    my $seq = $session->$method(async => 1, %fields);
    while (my $pdu = $session->read_pdu) {
        return $pdu if $pdu->{seq} == $seq and $pdu->{cmd} & 0x80000000;
        take($pdu);
    }
    die 'the connection was closed';
}

my %ids;
sub send_message {
    my ($name, %fields) = @_;
    my $pdu = ask('submit_sm', source_addr_ton => 5, source_addr => 'perl',
        destination_addr => '79161234567', registered_delivery => 1, %fields);
    print "sent $name $pdu->{status} $pdu->{message_id}\n";
    $ids{$pdu->{message_id}} = $name;
    return $pdu->{message_id};
}

send_message('short', short_message => 'Hello from Perl');
send_message('cyrillic', data_coding => 8, short_message => pack('H*', '041f043504400 43b' =~ s/ //gr));
send_message('binary', data_coding => 4, short_message => pack('H*', '000102ff'));
my $text = 'Practical extraction and report language. ' x 6;
my @cut = unpack '(A134)*', $text;
for my $at (0 .. $#cut) {
    send_message("part$at", esm_class => 0x40,
        short_message => pack('C6', 5, 0, 3, 17, scalar @cut, $at + 1) . $cut[$at]);
}
# An unknown parameter of data_sm is written as it is given: this is message_payload.
my $data = ask('data_sm', source_addr_ton => 5, source_addr => 'perl', registered_delivery => 1,
    destination_addr => '79161234567', message_payload => 'by data sm');
print "sent data $data->{status} $data->{message_id}\n";
$ids{$data->{message_id}} = 'data';
my $many = ask('submit_multi', source_addr => 'perl', registered_delivery => 1,
    destination_addr => ['79161110001', '12', '79161110002'], short_message => 'to many');
print "sent multi $many->{status} $many->{message_id}\n";
print "unsuccess $many->{destination_addr}[$_] $many->{error_status_code}[$_]\n"
    for 0 .. $many->{no_unsuccess} - 1;
$ids{$many->{message_id}} = 'multi';
my $later = send_message('later', short_message => 'later',
    schedule_delivery_time => '000000010000000R');
my $state = ask('query_sm', message_id => $later);
print "query $state->{status} $state->{message_state}\n";
print 'replace ', ask('replace_sm', message_id => $later, registered_delivery => 1,
    schedule_delivery_time => '', validity_period => '', short_message => 'another text')->{status},
    "\n";
print 'cancel ', ask('cancel_sm', message_id => $later)->{status}, "\n";
print 'enquire ', ask('enquire_link')->{status}, "\n";
while ($count < keys(%ids) + 1) { # two for the two numbers of submit_multi
    take($session->read_pdu // die 'the connection was closed');
}
print 'unbound ', ask('unbind')->{status}, "\n";
