package soak

var hubsFaults = []fault{}
