#!/usr/bin/env perl
# Recomputes every leaf hash and slot of log-format.vectors.json from log-format.md alone: no line of this is shared
# with the Python or the SQL that the services use. Perl, because git needs it and so it is where this was cloned;
# only core modules.
use strict;
use warnings;
use Digest::SHA qw(sha256 sha256_hex);
use Encode qw(encode);
use JSON::PP qw(decode_json);

my $path = shift // die "usage: $0 log-format.vectors.json\n";
open my $file, '<:raw', $path or die "$path: $!\n";
my $document = decode_json(do { local $/; <$file> });

sub field { my ($bytes) = @_; return pack('N', length $bytes) . $bytes }
sub text  { return encode('UTF-8', $_[0]) }
sub int64 { return pack('q>', $_[0]) }

sub leaf {
    my ($event) = @_;
    (my $id = $event->{event_id}) =~ tr/-//d;
    return sha256_hex("\x00", $document->{format},
        field(int64($event->{position})),
        field(text($event->{tenant})),
        field(int64($event->{tenant_seq})),
        field(text($event->{stream})),
        field(int64($event->{version})),
        field(text($event->{topic})),
        field(pack('s>', $event->{payload_format})),
        field(pack('H*', $id)),
        field(int64($event->{recorded_at})),
        field(sha256(pack('H*', $event->{metadata}))),
        field(sha256(pack('H*', $event->{payload}))));
}

sub slot {
    my ($event) = @_;
    return unpack('N', sha256(text($event->{tenant}) . text($event->{stream}))) % 1024;
}

my $number = 0;
for my $event (@{ $document->{vectors} }) {
    $number++;
    die "vector $number ($event->{about}): leaf_hash is " . leaf($event) . "\n" if leaf($event) ne $event->{leaf_hash};
    die "vector $number ($event->{about}): slot is " . slot($event) . "\n" if slot($event) != $event->{slot};
}
print "$number vectors hold\n";
