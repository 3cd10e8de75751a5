// Reads a JSON list of texts on stdin, writes [encoding, segments] for each on stdout.
const { SegmentedMessage } = require('sms-segments-calculator');

const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const counted = texts.map((text) => {
  const message = new SegmentedMessage(text);
  return [message.encodingName, message.segmentsCount];
});
process.stdout.write(JSON.stringify(counted));
