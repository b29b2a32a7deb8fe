pragma circom 2.1.6;

// "The number in this commitment lies between lo and hi."
//
// commitment = Poseidon2(value, salt). All four numbers have 64 bits, so that no difference wraps around the field's
// order; lo and hi are constrained as well, so that whoever verifies need not know that they were checked elsewhere.
//
// Public signals, in this order: commitment, lo, hi, context.

include "circomlib/circuits/poseidon.circom";
include "circomlib/circuits/bitify.circom";

template RangeTask(bits) {
    signal input value;
    signal input salt;
    signal input lo;
    signal input hi;
    signal input context;

    signal output commitment;

    component opening = Poseidon(2);
    opening.inputs[0] <== value;
    opening.inputs[1] <== salt;
    commitment <== opening.out;

    component ofValue = Num2Bits(bits);
    ofValue.in <== value;
    component ofLo = Num2Bits(bits);
    ofLo.in <== lo;
    component ofHi = Num2Bits(bits);
    ofHi.in <== hi;
    component above = Num2Bits(bits);
    above.in <== value - lo;
    component below = Num2Bits(bits);
    below.in <== hi - value;

    // A public signal that no constraint mentions could be exchanged for another.
    signal contextSquare <== context * context;
}

component main {public [lo, hi, context]} = RangeTask(64);
