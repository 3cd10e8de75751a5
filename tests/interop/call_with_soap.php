<?php
// Calls operations of the service described by a WSDL, one after the other, and prints the results.
$task = json_decode(stream_get_contents(STDIN), true);
$versions = ["1.1" => SOAP_1_1, "1.2" => SOAP_1_2];
$client = new SoapClient($task["wsdl"], [
    "soap_version" => $versions[$task["version"]],
    "cache_wsdl" => WSDL_CACHE_NONE,
    "exceptions" => true,
]);
$results = [];
foreach ($task["calls"] as [$operation, $fields]) {
    $results[] = $client->$operation($fields);
}
echo json_encode(["functions" => $client->__getFunctions(), "results" => $results]);
